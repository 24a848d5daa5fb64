// Package delta makes and applies patches in the format of Fossil, the version control system, which is what client SDKs know
// as delta type "fossil".
//
//	base, target ── Create ──► patch ──► Apply on base ──► target
//
// A patch is text where its literals are:
//
//	length of target \n  then any of  count@offset,  (copy from base)  count:bytes  (insert)  then  checksum ;
//
// with integers in base 64, the most significant digit first (https://fossil-scm.org/home/doc/trunk/www/delta_format.wiki). No
// copy begins or ends inside a UTF-8 sequence of the target, so that the patch between two texts is a text too and may travel as
// a JSON string.
package delta
