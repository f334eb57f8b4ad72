"""De-identification: DICOM headers, pictures, tables and names; the key stays with the user.

``batch.deidentify`` leads through a folder; ``step.file`` cleans one file. The search for text
burned into pixels hangs on ``step.PIXELS``. See ``docs/deidentification.md``.
"""

from bedside.deid.batch import deidentify as deidentify
from bedside.deid.ledger import Entry as Entry
from bedside.deid.ledger import Ledger as Ledger
from bedside.deid.outcome import Outcome as Outcome
from bedside.deid.outcome import PixelOutcome as PixelOutcome
from bedside.deid.outcome import Stored as Stored
from bedside.deid.process_file import file as file
