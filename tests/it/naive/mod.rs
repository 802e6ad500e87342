//! A second evaluator of policies, naive and for the tests only, written straight from the documentation's decision flow
//! (`facts/codepipeline.md` section G; the tags in brackets are its sources) and sharing no code with the product; random
//! requests; and the test that both evaluators agree on all of them.
//!
//! # Open questions
//!
//! What the facts and the issue leave open. The generator makes none of these. The numbered ones are found by
//! `generator::settled`, which throws such a request away (and keeps shrinking away from it); take its line out there to have
//! them compared too. Where the naive evaluator had to do something, that is said.
//!
//! 1. The account's root user in its own account: AWS gives it everything without a policy; G.1 step 5 does not say so. Here it
//!    needs an identity policy; the generator always gives it full access.
//! 2. An RCP level without `RCPFullAWSAccess` in it: "an empty level allows nothing" and "the default full-access RCP is
//!    implied" pull apart. Here it allows nothing; the generator writes full access into every level.
//! 3. `Principal: "*"` in the same account without `aws:PrincipalArn`, beside a boundary or a session policy that lacks the
//!    action. Here: allowed, as with `aws:PrincipalArn`.
//! 4. Block Public Access: whether `"*"` with a condition is public (which keys count as fixed). Here: public only without one.
//! 5. `ForAnyValue:…IfExists` on a missing or empty key: true by IfExists, false by ForAnyValue. Here: IfExists wins if missing.
//! 6. A key that is there with an empty list or an empty text: whether `Null` counts it as missing, what a scalar operator says
//!    of an empty list, whether `ForAllValues` takes an empty text for "a null data set". Here: present, no match, a value.
//! 7. Block Public Access beside a malformed bucket policy: whether it is public.
//! 8. Which values an unknown key can take: a list for a key tested with scalar operators (which then never match, so that
//!    `StringEquals x` or `StringNotEquals x` may both fail), a single value for a multivalued key, text that is no number, date,
//!    address or ARN. Thrown away where it changes the set of decisions.
//! 9. An unknown key that decides only between an explicit and an implicit denial: `unknown`, or denied. Here: unknown.
//! 10. An unknown key that decides between `error` and something else.
//! 11. A malformed statement whose document makes no difference, as another document allows, or something else lacks anyway:
//!     `error`, or that answer. Here: error, unless a valid Deny matches. Compared only where the answer hangs on the document.
//! 12. A `*` at the end of a part of a resource pattern: whether it reaches into the next part, where the resource has colons of its own.
//! 13. A variable with a default compared with an unknown key: not open, but brute force doesn't try the default.
//! 14. An unknown key that is tested with a set operator and fills a variable with a default: whether the default counts for a
//!     list. Left out of the grammar for known keys.
//!
//! Left out of the grammar altogether:
//!
//! - `"derive": true`: which keys it derives is not written down.
//! - How a canonical user or a federated (web identity, SAML) caller is said in a request. Here such entries match nobody.
//! - `Allow` with `NotPrincipal` (unsupported), a NotPrincipal that lists only some of the caller's names.
//! - More than one boundary, session policy or endpoint policy (united, or all needed). Here: united.
//! - A variable that stays unresolved in a list with other values, or whose key is multivalued and has a default; a value put in
//!   for a variable that has wildcards in it; a variable before the fifth colon; `${*}` under 2008-10-17 (is its `*` a wildcard?).
//! - `*` alone, or fewer than six parts, as a value of an ARN operator; a value tested by one that is no ARN; a resource pattern
//!   with fewer than six parts; a wildcard in the service part. Here: no match.
//! - Numbers with exponents or spaces, dates without a zone, booleans that are neither true nor false, base64 that is not
//!   canonical, an address that does not parse, an IPv4 network with host bits, host bits under NotIpAddress, and anything
//!   unconvertible on the policy's side.
//! - One key twice in a context or block, in two cases; a key both known and listed as unknown; operator names in another case.
//! - An empty list of statements, actions, values or documents (other than a level); documents that are no objects; Principal in
//!   an identity policy; Resource in a trust policy; a key policy without Resource.
//! - RCPs over services other than S3, KMS and STS; AWS managed keys and the management account (a request cannot say them);
//!   grants; a request whose resource is an alias; anonymous calls to anything but S3.
//! - Malformed statements in SCPs and RCPs, and in documents that have no say (the identity policies of a service).

mod checks;
mod compare;
pub mod evaluator;
pub mod generator;
