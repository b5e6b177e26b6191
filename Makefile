# idflow: identity workflows inside PostgreSQL.  `make help` lists the targets.
EXTENSION  = idflow
EXTVERSION = 1.0.0
MODULE_big = idflow

PG_CONFIG ?= pg_config

# These are scripts of tools/ and bench/.  They find or install a PostgreSQL of
# their own, so they must work where there is no PGXS to include yet; and PGXS
# has a rule for "check" that can't be replaced without a warning.
SCRIPT_GOALS = help setup check demo bench dist format

ifneq (,$(filter $(SCRIPT_GOALS),$(MAKECMDGOALS)))

.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:

help:
	@echo 'make                  build the library and the extension script (PG_CONFIG=... chooses the server)'
	@echo 'sudo make install     install them into that server; then CREATE EXTENSION idflow'
	@echo 'sudo make demo        the four workflows as a story, on a private cluster (KEEP=1 leaves it running)'
	@echo 'sudo make check       every test, on a private copy of the server (TESTS="gate actor" only these)'
	@echo 'sudo make setup       only install what the two above need (Debian and Ubuntu packages)'
	@echo 'make installcheck     pg_regress and isolation tests against a server that runs and has idflow installed'
	@echo 'make bench            request-and-approve against its limit and hand-written PL/pgSQL (BENCH_SECONDS=3)'
	@echo 'make dist             dist/idflow-$(EXTVERSION).zip of the last commit, for PGXN'
	@echo 'make format           pgindent on src/, from the PostgreSQL source tree PGSRC'
	@echo 'make clean            remove what was built'
	@echo 'As an ordinary user all but install work too, where nothing has to be installed.'

setup:
	@PG_CONFIG="$(PG_CONFIG)" tools/setup.sh

check:
	@PG_CONFIG="$(PG_CONFIG)" TESTS="$(TESTS)" KEEP="$(KEEP)" tools/check.sh

demo:
	@PG_CONFIG="$(PG_CONFIG)" KEEP="$(KEEP)" tools/demo.sh

bench:
	@PG_CONFIG="$(PG_CONFIG)" bench/run.sh

dist:
	mkdir -p dist
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ -o dist/$(EXTENSION)-$(EXTVERSION).zip HEAD

format:
	@PG_CONFIG="$(PG_CONFIG)" tools/format.sh

# Goals beside them, as in "make clean check", get a make of their own.
$(filter-out $(SCRIPT_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) $@

else

SRCS = $(sort $(wildcard src/*.c))
OBJS = $(SRCS:.c=.o)
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

# Warnings are errors; `make WERROR=` for a compiler that knows more of them.
WERROR ?= -Werror

# libxml2's header path comes from pkg-config or xml2-config.
XML2_CFLAGS := $(shell pkg-config --cflags libxml-2.0 2>/dev/null || xml2-config --cflags 2>/dev/null)
PG_CPPFLAGS = -I$(CURDIR)/src $(XML2_CFLAGS)
PG_CFLAGS   = -Wall -Wextra $(WERROR) -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK  = -lxml2

# The extension script is the parts of src/sql in the order of their numbers.
SQL_PARTS  = $(sort $(wildcard src/sql/[0-9]*.sql))
EXTRA_CLEAN = $(EXTENSION)--$(EXTVERSION).sql src/generated tmp_check dist

# For "make installcheck".  The TAP tests break servers, so they run in "make
# check" only, which has copies to break.
REGRESS        = $(sort $(basename $(notdir $(wildcard sql/*.sql))))
ISOLATION      = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=test/output_iso --load-extension=idflow

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq (,$(wildcard $(PGXS)))
$(error no PostgreSQL to build for: `sudo make setup` installs one, or set PG_CONFIG to the pg_config of a server with its development files)
endif
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $(SQL_PARTS) > $@

# What the library carries inside: the RELAX NG schema and the ready definitions.
src/generated/embedded.h: tools/embed.sh $(wildcard workflows/*.xml workflows/*.rng)
	@mkdir -p src/generated
	sh tools/embed.sh workflows > $@

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h)
src/definition.o src/ready.o src/definition.bc src/ready.bc: src/generated/embedded.h

endif
