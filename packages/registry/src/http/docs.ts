/**
 * The API described by itself: OpenAPI 3.1 from the route table, and a page that shows it, served whole from here.
 *
 * Promises:
 * O1. The page loads nothing from anywhere else; its content security policy names the hash of its one inline script.
 */
import { createHash } from 'node:crypto';
import swagger from '@fastify/swagger';
import Fastify from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App } from './app.ts';
import { BUNDLE_MEDIA_TYPE, routes } from './routes.ts';

const DOCS = '/docs';
/** As the page names its script, relative to itself. */
const SCRIPT = 'js/scalar.js';

/** Before the routes: fastify's swagger sees only what is declared after it. */
export async function describeApi(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'CIM registry',
        version,
        description:
          'Catalog, desired state, fleet and events of a CIM hub. The roles that may use a route stand in brackets, and in `x-cim-roles`; `x-cim-scope` says how the scope of a token bounds it. Every answer carries `x-request-id`; every fault is a problem document (RFC 9457) with a code of docs/errors.md.',
      },
      tags: [
        { name: 'catalog', description: 'Bundles, versions, channels' },
        { name: 'desired', description: 'What should run' },
        { name: 'fleet', description: 'What does run' },
        { name: 'events', description: 'What happened' },
        { name: 'access', description: 'Tokens, and who changed what' },
        { name: 'trust', description: 'Trust document, transparency log, build provenance' },
        { name: 'process', description: 'The registry itself' },
      ],
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'A token of the registry.' },
          // OpenAPI 3.1 has it; the types at hand are older.
          certificate: {
            type: 'mutualTLS' as 'http',
            description: 'A client certificate that the configuration names.',
          } as never,
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => {
      // Schemas that have a name of their own stand under components, where the routes point.
      const api = jsonSchemaTransformObject(document);
      // The one body that is no JSON: bytes, streamed.
      const operation = (api.paths?.[routes.publish.url] as { post?: Record<string, unknown> } | undefined)?.post;
      if (operation)
        operation['requestBody'] = {
          required: true,
          description: 'The bytes of the bundle.',
          content: { [BUNDLE_MEDIA_TYPE]: { schema: { type: 'string', format: 'binary' } } },
        };
      return api;
    },
  });
}

/** The page and its script, made when somebody first asks: they weigh more than all the rest of the registry. */
interface Page {
  readonly html: string;
  readonly policy: string;
  readonly script: string;
}

export function serveDocs(app: App): void {
  let page: Promise<Page> | undefined;
  const made = () => {
    page ??= makePage();
    page.catch(() => {
      page = undefined;
    });
    return page;
  };
  const hidden = { schema: { hide: true } };
  app.get(DOCS, hidden, (_, reply) => reply.redirect(`${DOCS}/`, 301));
  app.get(`${DOCS}/`, hidden, async (_, reply) => {
    const { html, policy } = await made();
    return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(html);
  });
  app.get(`${DOCS}/${SCRIPT}`, hidden, async (_, reply) => {
    const { script } = await made();
    return reply.header('cache-control', 'public, max-age=3600').type('text/javascript; charset=utf-8').send(script);
  });
}

async function makePage(): Promise<Page> {
  const { default: scalar } = await import('@scalar/fastify-api-reference');
  const maker = Fastify({ logger: false });
  await maker.register(scalar, {
    routePrefix: DOCS,
    configuration: {
      url: routes.openapi.url,
      pageTitle: 'CIM registry',
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      agent: { disabled: true },
      mcp: { disabled: true },
      showDeveloperTools: 'never',
    },
  });
  const [html, script] = await Promise.all(
    [`${DOCS}/`, `${DOCS}/${SCRIPT}`].map(async (url) => (await maker.inject(url)).payload),
  );
  await maker.close();
  return { html: html!, policy: policyOf(html!), script: script! };
}

/** O1. Pure. */
function policyOf(html: string): string {
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, script]) => `'sha256-${createHash('sha256').update(script!).digest('base64')}'`,
  );
  return [
    "default-src 'none'",
    `script-src 'self' ${inline.join(' ')}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
