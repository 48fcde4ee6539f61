import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import express, { type RequestHandler } from 'express';

// For an address without a fingerprint, such as the icon's in the manifest.
const MAX_AGE_SECONDS = 300;
const IMMUTABLE = 'public, max-age=31536000, immutable';
// Quality 11 would delay each start by half a second, for files that are hardly smaller.
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };
const RANGE_OR_PRECONDITION = ['range', 'if-match', 'if-unmodified-since'];

export type Assets = ReturnType<typeof createAssets>;

/**
 * In production, the address of a file holds a fingerprint of all files: a new page never gets an old
 * stylesheet from a cache. One fingerprint is enough: there are few files, they rarely change, and
 * files that name each other change together.
 */
export function createAssets(folder: string, production: boolean) {
  if (!production)
    return { handlers: [assetsOnDisk(folder)], url: (name: string) => `/assets/${name}` };
  const fingerprint = fingerprintOf(folder);
  // While workers are replaced, a page may ask a worker for the files of another version. It gets the
  // files of this one, and must check them again.
  const byFingerprint: RequestHandler = (req, res, next) => {
    const [, asked, path] = /^(?:https?:\/\/[^/]*)?\/([0-9a-f]{12})(\/.*)$/i.exec(req.url) ?? [];
    if (path) {
      req.url = path;
      res.setHeader('Cache-Control', asked === fingerprint ? IMMUTABLE : 'no-cache');
    }
    next();
  };
  return {
    handlers: [byFingerprint, ...assetsInMemory(folder)],
    url: (name: string) => `/assets/${fingerprint}/${name}`,
  };
}

function fingerprintOf(folder: string): string {
  const sum = createHash('sha256');
  for (const name of namesIn(folder)) sum.update(name).update(readFileSync(join(folder, name)));
  return sum.digest('hex').slice(0, 12);
}

/** In the same order on every machine. */
const namesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();

/**
 * Serves the files of `folder` from memory, compressed where that makes them smaller. Pages are not
 * compressed: their length could reveal a secret on them (the BREACH attack).
 */
export function assetsInMemory(folder: string): RequestHandler[] {
  const files = new Map<string, { body: Buffer; brotli?: Buffer; headers: Map<string, string> }>();
  for (const name of namesIn(folder)) {
    const stat = statSync(join(folder, name));
    const headers = new Map([
      ['ETag', `W/"${stat.size.toString(16)}-${stat.mtime.getTime().toString(16)}"`],
      ['Last-Modified', stat.mtime.toUTCString()],
      ['Accept-Ranges', 'bytes'],
    ]);
    const body = readFileSync(join(folder, name));
    const brotli = brotliCompressSync(body, BROTLI);
    if (brotli.length >= body.length) files.set(`/${name}`, { body, headers });
    else files.set(`/${name}`, { body, brotli, headers: headers.set('Vary', 'Accept-Encoding') });
  }
  const wholeFile: RequestHandler = (req, res, next) => {
    const file = files.get(req.path);
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    if (!file || !isRead || RANGE_OR_PRECONDITION.some((name) => name in req.headers))
      return next();
    if (!res.hasHeader('Cache-Control'))
      res.setHeader('Cache-Control', `public, max-age=${MAX_AGE_SECONDS}`);
    res.setHeaders(file.headers).type(extname(req.path));
    if (req.fresh) return res.status(304).end();
    const brotli = req.acceptsEncodings('br', 'identity') === 'br' ? file.brotli : undefined;
    if (brotli) res.set({ 'Content-Encoding': 'br', 'Accept-Ranges': 'none' });
    const body = brotli ?? file.body;
    res.set('Content-Length', `${body.length}`).end(body);
  };
  return [wholeFile, assetsOnDisk(folder, MAX_AGE_SECONDS)];
}

export const assetsOnDisk = (folder: string, maxAgeSeconds = 0): RequestHandler =>
  express.static(folder, { index: false, redirect: false, maxAge: maxAgeSeconds * 1000 });
