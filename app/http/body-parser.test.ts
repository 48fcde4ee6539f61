import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import { type Shop, startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend } from '../session/index.ts';

let shop: Shop;
before(async () => {
  shop = await startShop(memoryBackend());
});
after(() => shop.close());

const CHUNKED = 'Transfer-Encoding: chunked';
const JSON_TYPE = 'Content-Type: application/json';

function send(request: string, headers: readonly string[], body = '') {
  const socket = connect(shop.port, '127.0.0.1');
  const lines = [`${request} HTTP/1.1`, 'Host: shop', 'Accept: application/json', ...headers];
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  return socket;
}

it('a POST without a body passes, however it says that it has none', async () => {
  for (const [headers, body] of [
    [[], ''],
    [['Content-Length: 0'], ''],
    [['Content-Length: 000'], ''],
    [[CHUNKED], '0\r\n\r\n'],
    [[CHUNKED], '000;a=b\r\n\r\n'],
    [[CHUNKED, 'Content-Type: text/plain'], '0\r\n\r\n'],
    [[CHUNKED, JSON_TYPE], '0\r\n\r\n'],
    [[CHUNKED, 'Content-Type: application/x-www-form-urlencoded'], '0\r\n\r\n'],
  ] as const) {
    const response = await text(send('POST /logout', ['Connection: close', ...headers], body));
    assert.match(response, /^HTTP\/1\.1 200 /, headers.join());
  }
});

it('a body of an unsupported type is refused, chunked or not', async () => {
  for (const [headers, body] of [
    [['Content-Length: 1'], 'x'],
    [['Content-Length: 1'], ''],
    [[CHUNKED], '1\r\nx\r\n0\r\n\r\n'],
    [[CHUNKED, 'Content-Type: text/plain'], '1\r\nx\r\n0\r\n\r\n'],
  ] as const) {
    const socket = send('POST /logout', headers, body);
    assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 415 /, headers.join());
    socket.destroy();
  }
});

it('a body without an end is not read for long after the response', async () => {
  const endless = async (request: string, headers: string[], status: number) => {
    const socket = send(request, headers);
    socket.on('error', () => {}); // the server may close while this sends
    const chunk = headers.includes(CHUNKED) ? `1f4\r\n${' '.repeat(500)}\r\n` : ' '.repeat(500);
    const sending = setInterval(() => socket.write(chunk), 20);
    let response = '';
    socket.on('data', (data) => {
      response += data;
    });
    await until(async () => socket.closed, 'the connection has ended').finally(() => {
      clearInterval(sending);
      socket.destroy();
    });
    assert.match(response, new RegExp(`^HTTP/1\\.1 ${status} `), `${request} ${headers.join()}`);
  };
  await Promise.all([
    endless('POST /login', [CHUNKED, JSON_TYPE], 413),
    endless('POST /login', [CHUNKED, JSON_TYPE, 'Content-Encoding: gzip'], 413),
    endless('POST /login', [JSON_TYPE, 'Content-Length: 999999999'], 413),
    endless('POST /login', [CHUNKED], 415),
    endless('POST /login', [CHUNKED, JSON_TYPE, 'Sec-Fetch-Site: cross-site'], 403),
    endless('POST /nowhere', [CHUNKED, JSON_TYPE], 413),
    endless('POST /livez', [CHUNKED, JSON_TYPE], 405),
    endless('GET /', [CHUNKED], 200),
  ]);
});
