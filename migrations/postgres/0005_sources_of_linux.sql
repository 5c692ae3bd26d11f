-- The logs of dnf and zypper are sources too.
ALTER TABLE report DROP CONSTRAINT report_source_check;
ALTER TABLE report ADD CONSTRAINT report_source_check CHECK (source IN ('evtx', 'cbs', 'windowsupdate', 'reportingevents', 'dism', 'setup', 'apt', 'dpkg', 'dnf', 'zypper', 'systemd', 'probe', 'job'));
