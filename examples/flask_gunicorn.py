"""gunicorn's side of flask_pool.py: each worker enters the pool when it was forked, and leaves it
when it exits. The hooks of uWSGI are called `@postfork` and `uwsgi.atexit`.
"""

workers = 2
bind = "127.0.0.1:8000"


def post_fork(server: object, worker: object) -> None:
    import flask_pool

    flask_pool.enter_the_pool()


def worker_exit(server: object, worker: object) -> None:
    import flask_pool

    flask_pool.pool.close()
