import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import closeWithGrace from 'close-with-grace';
import { demoAccounts, demoProducts } from '../config/demo-data.ts';
import { type Config, ConfigError, readConfig } from '../config/environment.ts';
import { fixedAccounts } from './accounts/accounts.ts';
import { createApp } from './app.ts';
import { createLog } from './log.ts';
import { memoryBackend, redisBackend } from './session/backends.ts';
import { hitsInRedis } from './storage/hits-in-redis.ts';
import { connectRedis } from './storage/redis-client.ts';

const config = configOrExit();
const log = createLog(config.logLevel);
const redis =
  config.store === 'redis'
    ? connectRedis(config.redisUrl, (err) => log.error({ err }, 'Redis'))
    : undefined;
const demo = config.demoAccounts ? demoAccounts : [];

const app = createApp({
  production: config.production,
  trustProxy: config.trustProxy,
  log,
  session: {
    backend: redis ? redisBackend(redis) : memoryBackend(),
    secrets: config.secrets,
    cookie: config.cookie,
    idleMs: config.idleMs,
    absoluteMs: config.absoluteMs,
  },
  checkStore: async () => redis?.check(),
  ...(redis && { sharedHits: (name) => hitsInRedis(redis, name) }),
  accounts: fixedAccounts(demo),
  products: demoProducts,
  // Passwords are shown where they are no secret: on the developer's own machine.
  demoLogins: config.production ? [] : demo,
});

const server = createServer({ connectionsCheckingInterval: 1000 }, app);
server.headersTimeout = 10_000;
server.requestTimeout = 20_000;
server.on('error', (err) => {
  log.fatal({ err }, `Cannot listen on ${config.host}:${config.port}`);
  process.exit(1);
});
server.listen(config.port, config.host, () => {
  const { port } = server.address() as AddressInfo;
  log.info({ url: `http://${config.host}:${port}`, store: config.store }, 'Cloakroom is open');
});

// SIGTERM: take no new connection, finish what is under way, then go.
closeWithGrace({ delay: 9000 }, async ({ err }) => {
  if (err) log.fatal({ err }, 'Unexpected error');
  server.close();
  // A connection that was busy a moment ago would be kept alive for its next request.
  setInterval(() => server.closeIdleConnections(), 20).unref();
  await once(server, 'close');
  redis?.close();
});

function configOrExit(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`Cloakroom cannot start:\n${error.message.replace(/^/gm, '  ')}\n`);
    process.exit(1);
  }
}
