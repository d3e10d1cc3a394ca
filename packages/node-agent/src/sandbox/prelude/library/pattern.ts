/** URLPattern, from its polyfill. */
export { URLPattern } from 'urlpattern-polyfill/urlpattern';
