-- What kind of update a failure was about: one code can have other causes for a driver than for a cumulative update.
-- Empty where the source does not tell.
ALTER TABLE report ADD COLUMN update_class TEXT NOT NULL DEFAULT '' CHECK (update_class IN ('', 'cumulative', 'dotnet', 'winre', 'driver', 'definition', 'servicing_stack', 'feature'));
ALTER TABLE incident ADD COLUMN update_class TEXT NOT NULL DEFAULT '' CHECK (update_class IN ('', 'cumulative', 'dotnet', 'winre', 'driver', 'definition', 'servicing_stack', 'feature'));
