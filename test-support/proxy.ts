import { once } from 'node:events';
import { request } from 'node:https';

/** A reverse proxy that ends TLS with a certificate of its own. */
export type TlsProxy = {
  origin: string;
  /** Answers 308 to the same path at `origin`. */
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
