"""The cloud's event loop in a thread of its own, and calls into it from a test's thread."""

import asyncio
import functools
import threading


class LoopThread:
    """Runs an event loop; `call` runs a function in it and waits for the result."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cloud", daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def call(self, function):
        """The result of function(), which runs in the loop's thread."""
        if threading.current_thread() is self._thread:
            return function()

        async def run():
            return function()

        return self.wait(run())

    def wait(self, coroutine):
        """The result of a coroutine that runs in the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())


def in_loop(method):
    """For a method of an object with a LoopThread in `thread`: it runs in the loop's thread,
    whichever thread calls it. Such methods are also what /control offers."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        return self.thread.call(functools.partial(method, self, *args, **kwargs))

    call.in_loop = True
    return call
