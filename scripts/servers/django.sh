# shellcheck shell=bash disable=SC2154
# django-cqrs, the peer on the other end of the wire: no server but a Python environment, shared by all
# instances and made anew when its list of packages changes.

django=$services/django
django_list=$repo/tests/interop/django/requirements.txt

django_package() { echo python3-venv; }
django_explain() { echo "  CQRS_TEST_DJANGO=/path/to/python   (with the packages of tests/interop/django/requirements.txt)"; }

django_find() { python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

django_is_made() { [[ -x $django/bin/python ]] && cmp -s "$django_list" "$django/requirements.txt"; }

django_make() {
    say "django: installing $(grep -c == "$django_list") Python packages"
    rm -rf "$django"
    {
        python3 -m venv "$django" &&
            # Wheels only: a build from source would need a compiler and headers.
            "$django/bin/pip" install --disable-pip-version-check --no-input --only-binary :all: \
                --requirement "$django_list"
    } >"$services/django.log" 2>&1 || {
        tail -n 20 "$services/django.log" >&2
        say "pip could not install what tests/interop/django/requirements.txt names (does it reach a package index?)"
        say "or name a Python that has these packages:"
        django_explain >&2
        return 1
    }
    # Last, so that half an installation is not taken for a whole one.
    cp "$django_list" "$django/requirements.txt"
}

django_exports() { echo "export CQRS_TEST_DJANGO='$django/bin/python'"; }
