export type Browser = ReturnType<typeof browser>;

/** A client that keeps any number of cookies, as a browser does. */
export function browser(origin: string, held: ReadonlyMap<string, string> = new Map()) {
  const cookies = new Map(held);

  async function send(method: string, path: string) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(origin + path, { method, headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Expires=Thu, 01 Jan 1970|Max-Age=0/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const text = await response.text();
    return { status: response.status, json: response.ok ? JSON.parse(text) : undefined };
  }
  return {
    cookies,
    get: (path: string) => send('GET', path),
    post: (path: string) => send('POST', path),
  };
}
