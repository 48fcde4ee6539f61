// Says within seconds that the session of an open page has ended. One page in view holds the stream for
// all pages of the browser, because over HTTP/1.1 a browser opens only six connections to a server.
const RETRY_MS = 15_000; // after an error that the browser does not retry, such as 503
const pages = new BroadcastChannel('session');
// Over plain HTTP, except on localhost, there are no locks: each page in view holds a stream.
const alone = (signal, run) =>
  navigator.locks ? navigator.locks.request('session-events', { signal }, run) : run();

/**
 * @param onEvent gets `{user}` when a stream begins, and `{ended}` with the reason when the session ends.
 *   Its promise resolves to whether the page goes on: just after a log-in, a stream may still know only the
 *   old id
 * @returns a function to call when a page that had ended goes on after all
 */
export function follow(onEvent) {
  let leaving;
  const join = () => {
    if (leaving || document.visibilityState !== 'visible') return;
    leaving = new AbortController();
    const { signal } = leaving;
    alone(signal, () => stream(signal)).catch(() => {}); // left while it waited for its turn
  };
  const leave = () => {
    leaving?.abort();
    leaving = undefined;
  };
  const stream = (signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      let source;
      let timer;
      const open = () => {
        source = new EventSource('/session/events');
        source.onmessage = async ({ data }) => {
          const event = JSON.parse(data);
          pages.postMessage(event);
          if (event.ended) leave(); // another page may know of another session
          if ((await onEvent(event)) && event.ended) join();
        };
        source.onerror = () => {
          if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
        };
      };
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        source.close();
        resolve();
      });
      open();
    });

  pages.addEventListener('message', ({ data }) => onEvent(data));
  document.addEventListener('visibilitychange', () =>
    document.visibilityState === 'visible' ? join() : leave(),
  );
  // A page in the back/forward cache must hold neither the lock nor a connection.
  addEventListener('pagehide', leave);
  addEventListener('pageshow', join);
  join();
  return join;
}
