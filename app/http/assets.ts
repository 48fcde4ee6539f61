import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import express, { type RequestHandler } from 'express';

const MAX_AGE_SECONDS = 3600;

/** The highest quality, 11, would take half a second at each start. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };

/** A request with one of these headers asks for a part of a file, or sets a condition. */
const MORE = ['range', 'if-match', 'if-unmodified-since'];

/**
 * Serves the files of `folder` from memory, compressed where that makes them smaller. express.static
 * handles the rare requests for parts of files and with preconditions. Pages are not compressed: the
 * length of a compressed page can reveal a secret on it (the BREACH attack).
 */
export function assetsInMemory(folder: string): RequestHandler[] {
  const files = new Map<string, { body: Buffer; brotli: Buffer; headers: Map<string, string> }>();
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
    const brotli = brotliCompressSync(body, QUALITY);
    if (brotli.length < body.length) headers.set('Vary', 'Accept-Encoding');
    files.set(`/${name}`, { body, brotli, headers });
  }
  const whole: RequestHandler = (req, res, next) => {
    const file = files.get(req.path);
    const look = req.method === 'GET' || req.method === 'HEAD';
    if (!file || !look || MORE.some((name) => name in req.headers)) return next();
    res.setHeaders(file.headers).type(extname(req.path));
    if (req.fresh) return res.status(304).end();
    const smaller = file.headers.has('Vary') && req.acceptsEncodings('br', 'identity') === 'br';
    if (smaller) res.set({ 'Content-Encoding': 'br', 'Accept-Ranges': 'none' });
    const body = smaller ? file.brotli : file.body;
    res.set('Content-Length', `${body.length}`).end(body);
  };
  return [whole, assetsOnDisk(folder, MAX_AGE_SECONDS)];
}

/** Serves the files of `folder` as they are on the disk now, so that an edit shows at once. */
export const assetsOnDisk = (folder: string, maxAgeSeconds = 0): RequestHandler =>
  express.static(folder, { index: false, redirect: false, maxAge: maxAgeSeconds * 1000 });
