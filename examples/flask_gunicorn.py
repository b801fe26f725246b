"""gunicorn's side of flask_pool.py: each worker enters the pool when it is ready to serve, and
leaves it when it exits. Not in `post_fork`: a SIGTERM that came there would be lost.
"""

workers = 2
bind = "127.0.0.1:8000"


def post_worker_init(worker: object) -> None:
    import flask_pool

    flask_pool.enter_the_pool()


def worker_exit(server: object, worker: object) -> None:
    import flask_pool

    flask_pool.pool.close()
