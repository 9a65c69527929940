"""Make all samples and their truth files anew."""

from __future__ import annotations

import crops
import form
import mixed
import report
import rotated
import scan
import scripts

if __name__ == "__main__":
    for maker in (mixed, scan, report, rotated, form, scripts, crops):
        maker.main()
