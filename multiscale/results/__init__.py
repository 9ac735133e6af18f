"""What remains of a study: the run folder, its dataset, provenance, figures and report."""

from multiscale.results.run.run_folder import NoAnswerError, RunExistsError, RunFolder
from multiscale.results.run.run_result import RunFolderError, RunResult

__all__ = ["NoAnswerError", "RunExistsError", "RunFolder", "RunFolderError", "RunResult"]
