import Checkpoints
import ChestXray
import Platform

/// What a checkpoint has already seen of the images that it is judged on.
public struct TrainingOverlap: Sendable {
  /// As it was given, or as the checkpoint records it.
  public let list: String
  /// What both lists have; nil where the recorded list was not found.
  public let overlap: ListOverlap?

  /// Of the lists at `given`, and of those that `checkpoint`, read from `path`, records: these are looked for in the run that the checkpoint is in
  /// (`lists`, beside `checkpoints`), beside the checkpoint and beside `testList`, and are those whose SHA-256 is the recorded one.
  ///
  /// Throws where a given list cannot be read.
  public static func all(
    of checkpoint: (metadata: CheckpointMetadata, path: String)?, given: [String], testList: String, table: LabelTable
  ) throws(EvaluationError) -> [TrainingOverlap] {
    var found: [TrainingOverlap] = []
    for path in given { found.append(TrainingOverlap(list: path, overlap: ListOverlap(try read(path), table))) }
    guard let checkpoint else { return found }
    let folder = parent(checkpoint.path)
    let folders = [parent(folder) + "/lists", folder, parent(testList)]
    let digests = try given.map { (path) throws(EvaluationError) in try digest(of: path) }
    for recorded in checkpoint.metadata.trainedOn where !digests.contains(recorded.sha256) {
      // A run's copies of two lists of one name have numbers.
      let candidates = folders.flatMap { folder in
        ["", "1-", "2-"].map { "\(folder)/\($0)\(fileName(of: recorded.name))" }
      }
      var path: String?
      for candidate in candidates where path == nil && somethingStands(at: candidate) {
        if try digest(of: candidate) == recorded.sha256 { path = candidate }
      }
      let list = try path.map { (path) throws(EvaluationError) in try read(path) }
      found.append(TrainingOverlap(list: path ?? recorded.name, overlap: list.map { ListOverlap($0, table) }))
    }
    return found
  }

  private static func read(_ path: String) throws(EvaluationError) -> LabelTable {
    do {
      return try LabelTable(unlabelled: path, labels: nil)
    } catch {
      throw .cause(error)
    }
  }

  private static func digest(of path: String) throws(EvaluationError) -> String {
    do {
      return try SHA256.hex(ofFile: path)
    } catch {
      throw .cause(error)
    }
  }

  private static func parent(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return path == "." || path.isEmpty ? ".." : "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
