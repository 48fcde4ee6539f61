import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { text as readText } from 'node:stream/consumers';

type Options = { headers?: Record<string, string>; json?: unknown; form?: string | object };

export type ClientResponse = {
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
  get(path: string, options?: Options): Promise<ClientResponse>;
  post(path: string, options?: Options): Promise<ClientResponse>;
  request(method: string, path: string, options?: Options): Promise<ClientResponse>;
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
      const formText = form && String(new URLSearchParams(form as string));
      const body = typeof json === 'string' ? json : (JSON.stringify(json) ?? formText);
      const response = await exchange(origin + path, method, body, {
        accept: 'application/json',
        ...type,
        ...(client.cookie && { cookie: client.cookie }),
        ...headers,
      });
      for (const line of response.headers.getSetCookie()) {
        const pair = line.split(';', 1)[0];
        client.cookie = line.includes('Expires=Thu, 01 Jan 1970') ? undefined : pair;
      }
      const { text } = response;
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

/** Not with fetch, which takes more CPU time. */
async function exchange(
  url: string,
  method: string,
  body: string | undefined,
  headers: OutgoingHttpHeaders,
) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.startsWith('https:') ? tlsRequest : request;
  const attempt = () => {
    const sent = send(url, { method, headers }, resolve).on('error', (error) => {
      // As fetch does: the server may close a connection just when it is used again.
      if (sent.reusedSocket && method === 'GET') attempt();
      else reject(error);
    });
    sent.end(body);
  };
  attempt();
  const message = await promise;
  const found = new Headers();
  for (const [name, values = []] of Object.entries(message.headersDistinct))
    for (const value of values) found.append(name, value);
  return { status: message.statusCode ?? 0, headers: found, text: await readText(message) };
}
