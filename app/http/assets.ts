import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import express, { type RequestHandler } from 'express';

const MAX_AGE_SECONDS = 3600;
// Quality 11 would delay each start by half a second, for files that are hardly smaller.
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };
const RANGE_OR_PRECONDITION = ['range', 'if-match', 'if-unmodified-since'];

/**
 * Serves the files of `folder` from memory, compressed where that makes them smaller. Pages are not
 * compressed: their length could reveal a secret on them (the BREACH attack).
 */
export function assetsInMemory(folder: string): RequestHandler[] {
  const files = new Map<string, { body: Buffer; brotli?: Buffer; headers: Map<string, string> }>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(folder, name));
    if (!stat.isFile()) continue;
    const headers = new Map([
      ['Cache-Control', `public, max-age=${MAX_AGE_SECONDS}`],
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
