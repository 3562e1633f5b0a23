"""Prints stack traces the way Python programs do; the argument says which."""

import asyncio
import concurrent.futures
import json
import logging
import multiprocessing
import sys
import threading
import traceback


class Full(Exception):
    pass


def connect(host):
    raise ConnectionError(f"no route to {host}")


def load(key):
    try:
        connect("db")
    except ConnectionError as error:
        raise Full(f"can't load {key}") from error


def serve():
    try:
        load("a")
    except Full:
        return {}["missing"]


def uncaught():
    serve()


def caught():
    try:
        serve()
    except KeyError:
        traceback.print_exc()


def logged():
    logging.basicConfig()
    logged_with()


def logged_with_time():
    logging.basicConfig(format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    logged_with()


def logged_with():
    log = logging.getLogger("app")
    log.warning("slow")
    try:
        load("b")
    except Full:
        log.exception("request failed")
    log.error("giving up")


def threads():
    for name in ["one", "two"]:
        thread = threading.Thread(target=connect, args=(name,))
        thread.start()
        thread.join()


def tasks():
    async def fails():
        await asyncio.sleep(0)
        load("c")

    async def main():
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0.01)
        del task

    asyncio.run(main())


def group():
    errors = []
    for key in ["d", "e"]:
        try:
            load(key)
        except Full as error:
            errors.append(error)
    raise ExceptionGroup("both failed", errors)


def syntax():
    compile("def f(:", "/app/broken.py", "exec")


def recursion():
    def again(n):
        return again(n + 1)

    again(0)


def pool():
    with concurrent.futures.ProcessPoolExecutor(1) as workers:
        try:
            workers.submit(connect, "pool").result()
        except ConnectionError:
            traceback.print_exc()


def process():
    child = multiprocessing.Process(target=connect, args=("child",))
    child.start()
    child.join()


def pretty():
    value = {"event": "done", "items": [{"id": 1, "name": "a b"}, {"id": 2, "tags": []}]}
    print(json.dumps(value, indent=2), file=sys.stderr)


if __name__ == "__main__":
    print("ready", file=sys.stderr)
    globals()[sys.argv[1]]()
    print("done", file=sys.stderr)
