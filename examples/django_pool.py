"""A Django project in one file whose worker processes are members of a pool, one node each.

    cd examples
    POOL_SEEDS=127.0.0.1:7946 gunicorn --workers 2 django_pool:application

The node is started where a server loads the application, in wsgi.py, and not in `AppConfig.ready`,
which also runs for `migrate` and `shell`. gunicorn loads it after the fork, in each worker. With
`--preload` it does not: the node would be the master's, and would say so to every request; start it
in a hook then, as flask_gunicorn.py does.
"""

import atexit
import contextlib
import os
import socket

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import gossip

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, DEBUG=True)


def members(request: HttpRequest) -> JsonResponse:
    try:
        listed = {member.name: member.status for member in node.members()}
    except gossip.ForkedError as error:
        return JsonResponse({"error": str(error)}, status=503)
    return JsonResponse({"answered_by": node.name, "members": listed})


urlpatterns = [path("members", members)]

# From here on, what stands in wsgi.py.
application = get_wsgi_application()
node = gossip.blocking.Memberlist(
    f"{socket.gethostname()}-{os.getpid()}",  # unique: a machine has several workers
    bind="127.0.0.1:0",
    seeds=os.environ.get("POOL_SEEDS", "").split(),
)
pool = contextlib.ExitStack()
pool.enter_context(node)
atexit.register(pool.close)  # leaves the pool when the worker exits
