import Foundation
import Platform

extension Checkpoint {
  /// The checkpoints that a user means, each once, in this order: files; folders, whose checkpoints are taken, or those of a run
  /// directory's `checkpoints`; patterns with `*`, `?` or `[` that no shell has expanded. What a run goes on from (`….state.safetensors`) is no
  /// checkpoint, and is left out where others are named.
  ///
  /// Throws `platform(.missing)` where nothing is there, `noCheckpoints` for a folder or a pattern without any.
  public static func paths(_ arguments: [String]) throws(CheckpointError) -> [String] {
    var found: [String] = []
    for argument in arguments {
      if let kind = kind(of: argument) {
        found += try kind == .folder ? checkpoints(in: argument) : [argument]
      } else if argument.contains(where: "*?[".contains) {
        let matches = matches(argument)
        guard !matches.isEmpty else { throw .noCheckpoints(path: argument) }
        for path in matches { found += try kind(of: path) == .folder ? checkpoints(in: path) : [path] }
      } else {
        throw .platform(.missing(path: argument))
      }
    }
    var seen = Set<String>()
    found = found.filter { seen.insert($0).inserted }
    let checkpoints = found.filter { !isState($0) }
    return checkpoints.isEmpty ? found : checkpoints
  }

  private enum Kind { case file, folder }

  private static func kind(of path: String) -> Kind? {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
    return isFolder.boolValue ? .folder : .file
  }

  private static func isState(_ path: String) -> Bool { path.hasSuffix(".state.safetensors") }

  private static func checkpoints(in folder: String) throws(CheckpointError) -> [String] {
    let path = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    let places = [path + "/checkpoints", path]
    for place in places where kind(of: place) == .folder {
      let names: [String]
      do {
        names = try FileManager.default.contentsOfDirectory(atPath: place)
      } catch {
        throw .platform(.unreadable(path: place, errno: EACCES))
      }
      let checkpoints = names.filter { $0.hasSuffix(".safetensors") && !isState($0) && !$0.hasPrefix(".") }
      // step-9 before step-10.
      let order = checkpoints.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
      if !order.isEmpty { return order.map { place + "/" + $0 } }
    }
    throw .noCheckpoints(path: folder)
  }

  /// Sorted, by glob(3).
  private static func matches(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else { return [] }
    let paths = (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
    return paths.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
  }
}
