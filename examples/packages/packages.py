#!/usr/bin/env python3
"""Keeps Debian's package index in a plain table, by plain SQL.

It knows nothing of events, brokers or replicas, and needs nothing but Python's own modules.
"""

import argparse
import csv
import glob
import pathlib
import sqlite3
import subprocess
import sys
import time

COLUMNS = {
    "Package": "package",
    "Version": "version",
    "Architecture": "architecture",
    "Section": "section",
    "Priority": "priority",
    "Installed-Size": "installed_size",
    "Maintainer": "maintainer",
    "Homepage": "homepage",
    "Depends": "depends",
    "Description": "description",
}
NAMES = list(COLUMNS.values())
SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "data" / "packages.sample"
BATCH = 500

UPSERT = (
    f"insert into packages ({', '.join(NAMES)}) values ({', '.join('?' * len(NAMES))})"
    " on conflict (package, version) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in NAMES[2:])
)
# Every n-th package in the order of the index: one statement, however many rows.
EVERY = (
    "where (package, version) in (select package, version from (select package, version,"
    " row_number() over (order by package, version) as place from packages) where place % ? = 0)"
)
UPDATE = (
    "update packages set priority = 'extra', section = 'archive/' || section,"
    f" installed_size = installed_size + 1 {EVERY}"
)
REMOVE = f"delete from packages {EVERY}"
MASTER = (
    "select package, version, section, priority, installed_size, maintainer, description"
    " from packages order by package, version"
)
REPLICA = (
    "select name, version, section, priority, size, contact, summary"
    " from package_copy order by name, version"
)


def default_index():
    """The machine's own index, or the sample where there is no apt."""
    lists = sorted(glob.glob("/var/lib/apt/lists/*_Packages*"))
    return [pathlib.Path(name) for name in lists] or [SAMPLE]


def text(path):
    """An index file, whatever apt compressed it with."""
    if path.suffix in (".lz4", ".gz", ".xz", ".bz2", ".zst"):
        command = ["/usr/lib/apt/apt-helper", "cat-file", str(path)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
    return path.read_text(encoding="utf-8")


def stanzas(index):
    """`Field: value`, continued on lines that start with white space, ended by an empty line."""
    for stanza in index.split("\n\n"):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                if last in fields:
                    fields[last] += "\n" + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                if last in COLUMNS:
                    fields[last] = value.strip()
        if fields:
            size = fields.get("Installed-Size")
            fields["Installed-Size"] = None if size is None else int(size)
            yield tuple(fields.get(name) for name in COLUMNS)


def read(files):
    """All packages of these files; several may name the same version of one."""
    packages = {}
    for file in files or default_index():
        for package in stanzas(text(pathlib.Path(file))):
            packages[package[:2]] = package
    return list(packages.values())


def connect(file):
    # Each `with` is a transaction. Others write too: wait for them.
    return sqlite3.connect(file, timeout=60)


def load(arguments):
    packages = read(arguments.files)
    database = connect(arguments.database)
    for start in range(0, len(packages), BATCH):
        with database:
            database.executemany(UPSERT, packages[start : start + BATCH])
    print(f"packages: loaded {len(packages)}")


def change(what, statement, arguments):
    with connect(arguments.database) as database:
        count = database.execute(statement, (arguments.every,)).rowcount
    print(f"packages: {what} {count}")


def sql(arguments):
    database = connect(arguments.database)
    database.executescript(pathlib.Path(arguments.script).read_text(encoding="utf-8"))


def table(arguments):
    csv.writer(sys.stdout).writerows([NAMES, *read(arguments.files)])


def compare(arguments):
    """Waits until the replica has what the master has, and says so."""
    deadline = time.monotonic() + arguments.patience
    while True:
        master = connect(arguments.database).execute(MASTER).fetchall()
        replica = connect(arguments.replica).execute(REPLICA).fetchall()
        if master == replica:
            print(f"packages: the replica equals the master, {len(master)} packages")
            return
        if time.monotonic() > deadline:
            different = sorted(set(master) ^ set(replica), key=repr)
            sys.exit(
                f"packages: the master has {len(master)}, the replica {len(replica)}; "
                f"{len(different)} rows differ, first {different[0]}"
            )
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name, function, about, *arguments):
        one = commands.add_parser(name, help=about)
        for names, options in arguments:
            one.add_argument(*names, **options)
        one.set_defaults(function=function)

    database = (["database"], {"help": "a file of SQLite"})
    files = (["files"], {"nargs": "*", "help": "index files; this machine's own if none"})

    def every(default):
        return (["--every"], {"type": int, "default": default, "metavar": "N"})

    command("sql", sql, "run a script", database, (["script"], {}))
    command("load", load, "load index files into the table", database, files)
    command(
        "update",
        lambda arguments: change("updated", UPDATE, arguments),
        "change every n-th package",
        database,
        every(3),
    )
    command(
        "remove",
        lambda arguments: change("removed", REMOVE, arguments),
        "delete every n-th package",
        database,
        every(10),
    )
    command(
        "compare",
        compare,
        "wait until the replica equals the master",
        database,
        (["replica"], {"help": "the replica's file"}),
        (["--patience"], {"type": float, "default": 600, "help": "seconds", "metavar": "S"}),
    )
    command("csv", table, "print index files as CSV, for psql", files)
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
