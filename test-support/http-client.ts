type Options = { headers?: Record<string, string>; json?: unknown; form?: string | object };

export type Answer = {
  status: number;
  headers: Headers;
  text: string;
  // Each test asserts what it expects of the JSON.
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  json: any;
};

export type HttpClient = {
  readonly origin: string;
  /** The session cookie as the browser holds it, `name=value`, or none. */
  cookie: string | undefined;
  get(path: string, options?: Options): Promise<Answer>;
  post(path: string, options?: Options): Promise<Answer>;
  request(method: string, path: string, options?: Options): Promise<Answer>;
};

/**
 * A client that keeps one cookie and follows no redirects. It asks for JSON unless the `accept`
 * header says otherwise.
 */
export function httpClient(origin: string, cookie?: string): HttpClient {
  const client: HttpClient = {
    origin,
    cookie,
    get: (path, options) => client.request('GET', path, options),
    post: (path, options) => client.request('POST', path, options),
    request: async (method, path, { headers = {}, json, form } = {}) => {
      const type =
        json !== undefined
          ? { 'content-type': 'application/json' }
          : form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' };
      const response = await fetch(origin + path, {
        method,
        redirect: 'manual',
        headers: {
          accept: 'application/json',
          ...type,
          ...(client.cookie && { cookie: client.cookie }),
          ...headers,
        },
        ...(json !== undefined && { body: typeof json === 'string' ? json : JSON.stringify(json) }),
        ...(form !== undefined && { body: String(new URLSearchParams(form as string)) }),
      });
      for (const line of response.headers.getSetCookie()) {
        const pair = line.split(';', 1)[0];
        client.cookie = line.includes('Expires=Thu, 01 Jan 1970') ? undefined : pair;
      }
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.startsWith('application/json');
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJson && text ? JSON.parse(text) : undefined,
      };
    },
  };
  return client;
}
