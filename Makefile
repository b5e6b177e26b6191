# idflow: identity workflows inside PostgreSQL.  `make help` lists the targets.
EXTENSION  = idflow
EXTVERSION = 1.0.0
MODULE_big = idflow

SRCS = $(sort $(wildcard src/*.c))
OBJS = $(SRCS:.c=.o)
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

PG_CONFIG ?= pg_config
# libxml2's header path comes from xml2-config or pkg-config when PGXS has none.
XML2_CFLAGS := $(shell pkg-config --cflags libxml-2.0 2>/dev/null || xml2-config --cflags 2>/dev/null)
PG_CPPFLAGS = -I$(CURDIR)/src $(XML2_CFLAGS)
PG_CFLAGS   = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK  = -lxml2

# The extension script is the parts of src/sql in the order of their numbers.
SQL_PARTS  = $(sort $(wildcard src/sql/[0-9]*.sql))
EXTRA_CLEAN = $(EXTENSION)--$(EXTVERSION).sql src/generated

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $(SQL_PARTS) > $@

# What the library carries inside: the RELAX NG schema and the ready definitions.
src/generated/embedded.h: tools/embed.sh $(wildcard workflows/*.xml workflows/*.rng)
	@mkdir -p src/generated
	sh tools/embed.sh workflows > $@

$(OBJS): $(wildcard src/*.h)
src/definition.o src/ready.o: src/generated/embedded.h
