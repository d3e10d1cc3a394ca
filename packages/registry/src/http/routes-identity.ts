/** Rows of the route table about identities on NATS: ordering tokens, enrolling, renewing, revoking. */
import {
  CredentialGiven,
  EnrolmentGiven,
  EnrolmentOrder,
  EnrolRequest,
  IdentityRecord,
  InstanceId,
  RenewRequest,
} from '@cim/contracts';
import { z } from 'zod';
import { permissions } from './permissions.ts';
import { Reason, type RouteRow } from './route.ts';

const Named = z.object({ instance: InstanceId });

export const identityRoutes = {
  orderEnrolment: {
    method: 'POST',
    url: '/api/v1/enrolments',
    permission: permissions.orderEnrolment,
    tag: 'access',
    summary: 'Order a one-time enrolment token for an instance; this answer is the only place it is ever shown',
    schema: { headers: z.looseObject({ 'cim-reason': Reason }), body: EnrolmentOrder, response: { 201: EnrolmentGiven } },
  },
  enrol: {
    method: 'POST',
    url: '/api/v1/enrol',
    permission: permissions.enrol,
    tag: 'access',
    summary: 'A node trades its enrolment token for a credential of its own key; signed by that key',
    schema: { body: EnrolRequest, response: { 200: CredentialGiven } },
  },
  renewCredential: {
    method: 'POST',
    url: '/api/v1/enrol/renewal',
    permission: permissions.renewCredential,
    tag: 'access',
    summary: 'A node asks for its next credential, for the same key or a new one; signed by the key in force',
    schema: { body: RenewRequest, response: { 200: CredentialGiven } },
  },
  identity: {
    method: 'GET',
    url: '/api/v1/identities/:instance',
    permission: permissions.identity,
    tag: 'access',
    summary: 'The keys of an instance, what it may serve, and until when',
    schema: { params: Named, response: { 200: IdentityRecord } },
  },
  revokeIdentity: {
    method: 'POST',
    url: '/api/v1/identities/:instance/revocation',
    permission: permissions.revokeIdentity,
    tag: 'access',
    summary: 'Give this instance no more credentials; those it has end with `alchemist creds revoke`',
    schema: { params: Named, headers: z.looseObject({ 'cim-reason': Reason }), response: { 200: IdentityRecord } },
  },
} as const satisfies Record<string, RouteRow>;
