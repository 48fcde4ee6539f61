import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

// A separate file, so that the system's openssl.cnf has no effect.
const config = `
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
`;

type Certificate = { caFile: string; keyFile: string; certFile: string };

/** Creates a private CA in `dir`, and a certificate signed by it for localhost and 127.0.0.1. */
export async function makeCertificate(dir: string): Promise<Certificate> {
  const openssl = (command: string) => run('openssl', command.trim().split(/\s+/), { cwd: dir });
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  await writeFile(join(dir, 'openssl.cnf'), config);
  await openssl(`req -x509 -config openssl.cnf -extensions ca ${newKey} -days 2
    -subj /CN=cloakroom-test-ca -keyout ca-key.pem -out ca.pem`);
  await openssl(`req -new -config openssl.cnf ${newKey}
    -subj /CN=localhost -keyout key.pem -out request.pem`);
  await openssl(`x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2
    -extfile openssl.cnf -extensions leaf -out cert.pem`);
  return {
    caFile: join(dir, 'ca.pem'),
    keyFile: join(dir, 'key.pem'),
    certFile: join(dir, 'cert.pem'),
  };
}
