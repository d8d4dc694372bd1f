-- Nothing to do: a text is compared byte by byte, and no setting of a session changes what a backslash is.
select 1;
