import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import bcrypt from 'bcrypt';
import { demoAccounts } from '../../config/demo-data.ts';
import { ADA, startShop } from '../../test-support/start-shop.ts';
import { until } from '../../test-support/until.ts';
import { memoryBackend } from '../session/index.ts';
import { createDocuments } from '../storage/documents.ts';
import { createAccounts } from './accounts.ts';

const WRONG = { ...ADA, password: 'wrong' };

/** A shop whose visitors leave while it works on their log-in. */
async function shopOfTheImpatient(t: TestContext) {
  const gate = { at: '', arrived: () => {}, open: () => {} };
  const pass = async (place: string) => {
    if (gate.at !== place) return;
    gate.at = '';
    const opened = new Promise<void>((resolve) => {
      gate.open = resolve;
    });
    gate.arrived();
    await opened;
  };
  const { compare, hash } = bcrypt;
  t.mock.method(bcrypt, 'compare', async (password: string, stored: string) => {
    await pass('password');
    return compare(password, stored);
  });
  t.mock.method(bcrypt, 'hash', async (password: string, cost: number) => {
    await pass('password');
    return hash(password, cost);
  });
  const texts = new Map<string, string>();
  const sessions = memoryBackend(texts);
  const documents = memoryBackend();
  const get = async (key: string) => {
    if (key.startsWith('cart:')) await pass('cart');
    return documents.get(key);
  };
  const shop = await startShop(sessions, { documents: { ...documents, get } });
  t.after(shop.close);

  let left = 0;
  /** Leaves when the log-in has come to `place`, and the shop notices before it goes on. */
  async function leave(place: 'password' | 'cart', json: object, path = '/login') {
    const controller = new AbortController();
    const arrived = new Promise<void>((resolve) => {
      gate.arrived = resolve;
    });
    gate.at = place;
    const response = fetch(shop.origin + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(json),
      signal: controller.signal,
    }).catch(() => {});
    await Promise.race([arrived, response.then(() => assert.fail('answered at once'))]);
    controller.abort();
    await response;
    left += 1;
    const noticed = () => shop.log.filter((line) => line.includes('"status":499')).length;
    await until(async () => noticed() === left, 'noticed');
    gate.open();
  }
  const accountSessions = async () => {
    const account = await createAccounts(createDocuments(documents), demoAccounts).find(ADA.email);
    return Object.keys(account?.sessions ?? {}).length;
  };
  return { ...shop, leave, texts, accountSessions };
}

it('a correct log-in that is cut off does not count as a failure, and leaves no session', async (t) => {
  const shop = await shopOfTheImpatient(t);
  const guest = shop.visitor();
  await guest.get('/');
  for (let n = 0; n < 11; n++) await shop.leave('password', ADA);
  assert.equal((await shop.visitor().post('/login', { json: ADA })).status, 200);
  assert.equal(await shop.accountSessions(), 1);
  assert.equal(shop.texts.size, 2, 'the guest and the log-in that was answered');
});

it('a failed log-in that is cut off counts as a failure', async (t) => {
  const shop = await shopOfTheImpatient(t);
  for (let n = 0; n < 10; n++) await shop.leave('password', WRONG);
  const limited = async () => (await shop.visitor().post('/login', { json: ADA })).status === 429;
  await until(limited, 'counted');
});

it('a session whose cookie never reached the browser is ended', async (t) => {
  const shop = await shopOfTheImpatient(t);
  await shop.leave('cart', ADA);
  await until(async () => (await shop.accountSessions()) === 0, 'not in the account');
  await until(async () => shop.texts.size === 0, 'not in the store');
  assert.equal((await shop.visitor().post('/login', { json: ADA })).status, 200);
  assert.equal(await shop.accountSessions(), 1);
});

it('a registration that was cut off makes no account, so it can be sent again', async (t) => {
  const shop = await shopOfTheImpatient(t);
  const json = { email: 'eve@example.test', name: 'Eve', password: 'a coat, a hat, an umbrella' };
  await shop.leave('password', json, '/register');
  const again = await shop.visitor().post('/register', { json });
  assert.equal(again.status, 201);
});
