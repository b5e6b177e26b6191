/*-------------------------------------------------------------------------
 *
 * plancache.c
 *	  Saved plans of statements on the users' tables, by table and name.
 *
 * A plan's text follows from the table's shape, so a change of the table
 * makes its plans stale: the callback marks them and the next look frees
 * them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "plancache.h"

/* Above this many plans all are dropped; only odd uses come near it. */
#define MAX_PLANS 512

typedef struct PlanKey
{
	Oid			relid;
	uint32		hash1;			/* of the name, which the entry holds in full */
	uint32		hash2;
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;
	bool		valid;
	char	   *name;
	SPIPlanPtr	plan;
} PlanEntry;

static HTAB *plans = NULL;

/*
 * Plans that are no longer wanted.  One may be running, in an outer call, so
 * they are freed when the transaction ends.
 */
typedef struct DeadPlan
{
	SPIPlanPtr	plan;
	struct DeadPlan *next;
} DeadPlan;

static DeadPlan *dead_plans = NULL;

static void
plan_relcache_callback(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	PlanEntry  *entry;

	hash_seq_init(&status, plans);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relid) || entry->key.relid == relid)
			entry->valid = false;
}

static void
plan_key(PlanKey *key, Oid relid, const char *name)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) name, strlen(name), 0);

	key->relid = relid;
	key->hash1 = (uint32) hash;
	key->hash2 = (uint32) (hash >> 32);
}

/* plan_bury: put a plan aside until plan_free_dead(). */
void
plan_bury(SPIPlanPtr plan)
{
	DeadPlan   *dead = MemoryContextAlloc(TopMemoryContext, sizeof(DeadPlan));

	dead->plan = plan;
	dead->next = dead_plans;
	dead_plans = dead;
}

/*
 * plan_free_dead: free what was put aside; at the end of a transaction.
 */
void
plan_free_dead(void)
{
	while (dead_plans)
	{
		DeadPlan   *dead = dead_plans;

		dead_plans = dead->next;
		SPI_freeplan(dead->plan);
		pfree(dead);
	}
}

static void
plan_drop(PlanEntry *entry)
{
	plan_bury(entry->plan);
	pfree(entry->name);
	hash_search(plans, &entry->key, HASH_REMOVE, NULL);
}

/*
 * plan_lookup: a kept plan, NULL if it has to be made.
 */
SPIPlanPtr
plan_lookup(Oid relid, const char *name)
{
	PlanKey		key;
	PlanEntry  *entry;

	if (plans == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(PlanKey);
		ctl.entrysize = sizeof(PlanEntry);
		plans = hash_create("idflow plans", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(plan_relcache_callback, (Datum) 0);
	}
	plan_key(&key, relid, name);
	entry = hash_search(plans, &key, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	if (!entry->valid || strcmp(entry->name, name) != 0)
	{
		plan_drop(entry);
		return NULL;
	}
	return entry->plan;
}

/*
 * plan_keep: keep a plan that SPI_prepare() made.
 */
void
plan_keep(Oid relid, const char *name, SPIPlanPtr plan)
{
	PlanKey		key;
	PlanEntry  *entry;
	bool		found;

	if (hash_get_num_entries(plans) >= MAX_PLANS)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, plans);
		while ((entry = hash_seq_search(&status)) != NULL)
			plan_drop(entry);
	}
	SPI_keepplan(plan);
	plan_key(&key, relid, name);
	entry = hash_search(plans, &key, HASH_ENTER, &found);
	if (found)
	{
		plan_bury(entry->plan);
		pfree(entry->name);
	}
	entry->name = MemoryContextStrdup(TopMemoryContext, name);
	entry->plan = plan;
	entry->valid = true;
}
