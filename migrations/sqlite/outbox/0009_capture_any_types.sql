-- Nothing to do: here a value has the type that it is stored with, whatever its column says.
select 1;
