import { once } from 'node:events';
import { request } from 'node:https';

/** A reverse proxy that terminates TLS with its own certificate. */
export type TlsProxy = {
  origin: string;
  /** Redirects (308) to the same path at `origin`. */
  httpOrigin: string;
  caFile: string;
  pid: number;
  stop: () => Promise<void>;
};

/** Whether anything answers at `origin`, whatever its certificate. */
export async function answers(origin: string): Promise<boolean> {
  const sent = request(origin, { rejectUnauthorized: false, agent: false }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  return true;
}
