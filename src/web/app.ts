import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { csrf } from 'hono/csrf';
import { HTTPException } from 'hono/http-exception';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { secureHeaders } from 'hono/secure-headers';
import { forgeUrl } from '../repos/urls.ts';
import { limitAttempts } from './attempts.ts';
import type { WebContext } from './context.ts';
import { healthPage } from './health-page.ts';
import { home } from './home.ts';
import { isProblem, problemPage, type ProblemStatus } from './pages/problem.ts';
import { signInPage } from './pages/sign-in.ts';
import { signedIn, stopSession } from './session.ts';
import { signIn } from './sign-in.ts';
import { style, stylePath } from './style.ts';

/** The largest form, in bytes. */
const largestForm = 16 * 1024;
const year = 365 * 24 * 3600;

/** The root domain's pages. Without JavaScript, in the browser too: the headers allow none. */
export function buildApp(context: WebContext): Hono {
  const { forge } = context;
  const { domain } = forge.config;
  const problem = (c: Context, status: ProblemStatus) => {
    c.header('Cache-Control', 'no-store');
    return c.html(problemPage(domain, status), status);
  };
  const app = new Hono();
  app.use(headers);
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        c.header('Allow', methods.join(', '));
        return problem(c, 405);
      },
    }),
  );
  const own = [
    onlyForms,
    // Repositories are on the same site, but of other origins: their pages may not send our forms.
    csrf({ origin: forgeUrl(forge.config), secFetchSite: 'same-origin' }),
    bodyLimit({
      maxSize: largestForm,
      onError: () => {
        throw new HTTPException(413);
      },
    }),
  ] as const;

  app.get('/', home(context));
  app.get('/sign-in', (c) => {
    c.header('Cache-Control', 'no-store');
    return signedIn(context, c) ? c.redirect('/', 303) : c.html(signInPage({ domain }));
  });
  app.post('/sign-in', ...own, signIn(context, limitAttempts()));
  app.post('/sign-out', ...own, (c) => {
    stopSession(context, c);
    return c.redirect('/', 303);
  });
  app.get('/health', healthPage(context));
  app.get(stylePath, (c) =>
    c.body(style, 200, {
      'Content-Type': 'text/css; charset=UTF-8',
      'Cache-Control': `public, max-age=${year}, immutable`,
    }),
  );
  app.get('/favicon.ico', (c) => c.body(null, 204, { 'Cache-Control': 'public, max-age=86400' }));

  app.notFound((c) => problem(c, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException && isProblem(error.status)) return problem(c, error.status);
    forge.out.warn(error.stack ?? error.message);
    return problem(c, 500);
  });
  return app;
}

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  referrerPolicy: 'same-origin',
  xFrameOptions: 'DENY',
  // The edge decides it: only a certificate of a public authority allows the promise.
  strictTransportSecurity: false,
});

/** A form is what a browser sends across origins without asking; anything else isn't for these pages. */
const onlyForms: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('content-type') ?? 'application/x-www-form-urlencoded';
  if (!/^application\/x-www-form-urlencoded *(;|$)/i.test(type)) throw new HTTPException(415);
  await next();
};
