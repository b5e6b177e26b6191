/*-------------------------------------------------------------------------
 *
 * digest.c
 *	  Digests of images, which history keeps when the images are gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "change.h"
#include "pack.h"

/*
 * A digest begins with the salt of the change, which is stored with it and shown
 * to nobody, lest a value be found by trying all there are.
 */
static void
digest_begin(StringInfo buf, bytea *salt)
{
	initStringInfo(buf);
	if (salt)
		appendBinaryStringInfo(buf, VARDATA_ANY(salt), VARSIZE_ANY_EXHDR(salt));
}

/* The SHA-256 of it, as hex digits. */
static char *
digest_end(StringInfo buf)
{
	bytea	   *bytes = cstring_to_text_with_len(buf->data, buf->len);
	bytea	   *digest = DatumGetByteaPP(OidFunctionCall1(F_SHA256, PointerGetDatum(bytes)));
	char	   *result = palloc(2 * VARSIZE_ANY_EXHDR(digest) + 1);

	hex_encode(VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest), result);
	result[2 * VARSIZE_ANY_EXHDR(digest)] = '\0';
	pfree(digest);
	pfree(bytes);
	pfree(buf->data);
	return result;
}

/*
 * image_digest: the digest of an image, as hex digits, over the salt and each
 * value with the position of its column.  Lengths go in before the values so that
 * no two images have the same bytes.
 */
char *
image_digest(Image *image, bytea *salt)
{
	StringInfoData buf;

	digest_begin(&buf, salt);
	for (int i = 0; i < image->n; i++)
	{
		append_int(&buf, image_position(image, i));
		if (image->values[i])
		{
			int			len = strlen(image->values[i]);

			appendStringInfoChar(&buf, ':');
			append_int(&buf, len);
			appendStringInfoChar(&buf, ':');
			appendBinaryStringInfo(&buf, image->values[i], len);
		}
		else
			appendStringInfoString(&buf, ":-:");
	}
	return digest_end(&buf);
}

static void
digest_number(StringInfo buf, int32 number)
{
	uint32		bytes = pg_hton32((uint32) number);

	appendBinaryStringInfo(buf, (char *) &bytes, sizeof(bytes));
}

/*
 * The digest of the rows of a pack: over the salt and their values as array_send()
 * has them.  Computed once.
 */
static char *
pack_digest(Change *pack)
{
	StringInfoData buf;
	MemoryContext cxt;
	MemoryContext oldcxt;
	Datum	   *values;
	bool	   *nulls;
	bool		has_nulls = false;
	int			n;
	char	   *result;

	if (pack->digest)
		return pack->digest;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "idflow digest", ALLOCSET_DEFAULT_SIZES);
	oldcxt = MemoryContextSwitchTo(cxt);
	n = pack_values(pack, &values, &nulls);
	for (int i = 0; i < n && !has_nulls; i++)
		has_nulls = nulls[i];
	digest_begin(&buf, pack->salt);
	digest_number(&buf, 1);		/* dimensions */
	digest_number(&buf, has_nulls);
	digest_number(&buf, TEXTOID);
	digest_number(&buf, n);
	digest_number(&buf, 1);		/* lower bound */
	for (int i = 0; i < n; i++)
	{
		struct varlena *value = (struct varlena *) DatumGetPointer(values[i]);

		digest_number(&buf, nulls[i] ? -1 : (int32) VARSIZE_ANY_EXHDR(value));
		if (!nulls[i])
			appendBinaryStringInfo(&buf, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	}
	result = digest_end(&buf);
	MemoryContextSwitchTo(oldcxt);
	pack->digest = MemoryContextStrdup(GetMemoryChunkContext(pack), result);
	MemoryContextDelete(cxt);
	return pack->digest;
}

/*
 * change_numbers: a change's number in a request's history, and of a pack those
 * of its first and last row: 1001-2000.
 */
char *
change_numbers(Change *change)
{
	char		numbers[32];

	/* a change's, or a pack's first and last; psprintf() takes ten times the room */
	if (change->count > 1)
		snprintf(numbers, sizeof(numbers), "%d-%d", change->seq, change->seq + change->count - 1);
	else
		snprintf(numbers, sizeof(numbers), "%d", change->seq);
	return pstrdup(numbers);
}

/*
 * json_digests: digests of all images of a request's changes, as an object
 * within one being built: {"1": {"old": "...", "new": "..."}}.
 */
JsonbValue *
json_digests(JsonbParseState **state, Request *req)
{
	Change	   *last = NULL;
	ListCell   *lc;

	json_open(state, WJB_BEGIN_OBJECT);
	foreach(lc, request_stored(req))
	{
		Change	   *change = lfirst(lc);

		/* what is stored in a pack has the pack's */
		if (change->pack)
			change = change->pack;
		if (change == last)
			continue;
		last = change;
		json_key(state, change_numbers(change));
		json_open(state, WJB_BEGIN_OBJECT);
		if (change->old_image)
		{
			json_key(state, "old");
			json_string(state, WJB_VALUE, image_digest(change->old_image, change->salt));
		}
		if (change->new_image || change->rows)
		{
			json_key(state, "new");
			json_string(state, WJB_VALUE, change->rows ? pack_digest(change) :
						image_digest(change->new_image, change->salt));
		}
		(void) json_close(state, WJB_END_OBJECT);
	}
	return json_close(state, WJB_END_OBJECT);
}

/* image_digests: the same as JSON text. */
char *
image_digests(Request *req)
{
	JsonbParseState *state = NULL;
	Jsonb	   *digests = JsonbValueToJsonb(json_digests(&state, req));

	return JsonbToCString(NULL, &digests->root, VARSIZE(digests));
}
