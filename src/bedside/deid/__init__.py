"""De-identification of DICOM headers, images, tables and names; the key stays with the user.

``batch.deidentify`` processes a folder, ``process_file.file`` one file. The text search that it
uses is ``process_file.PIXELS``. See ``docs/deidentification.md``.
"""

from bedside.deid.batch import deidentify as deidentify
from bedside.deid.ledger import Entry as Entry
from bedside.deid.ledger import Ledger as Ledger
from bedside.deid.outcome import Outcome as Outcome
from bedside.deid.outcome import PixelOutcome as PixelOutcome
from bedside.deid.outcome import Stored as Stored
from bedside.deid.process_file import file as file
