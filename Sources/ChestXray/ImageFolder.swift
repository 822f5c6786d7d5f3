import Foundation
import Platform

/// The image files below a folder: a flat folder, NIH's layout (`images_001/images/…`), or folders of folders.
///
/// The folder is walked once. Hidden files are skipped; links are followed, down to `deepest` folders.
public struct ImageFolder: Sendable {
  public let path: String
  /// The folders that hold images, relative to `path`; the first is `path` itself, "".
  private var folders: [String] = []
  /// Where a file of a name is: indices of `folders`.
  private var places: [String: [Int]] = [:]
  /// The names of `path` and of the folders above it.
  private let above: [Substring]

  /// Folders below one another that are looked into: enough for every layout, and an end to links in a circle.
  static let deepest = 8

  /// Errors: `notAFolder`; `platform` where a folder cannot be read.
  public init(path: String) throws(ChestXrayError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      throw .folder(path: path, .notAFolder)
    }
    self.path = path
    above = URL(fileURLWithPath: path).standardizedFileURL.path.split(separator: "/")
    try walk("", depth: 0)
  }

  /// The images, as paths relative to the folder, sorted.
  ///
  /// Errors: `noImages`.
  public func images() throws(ChestXrayError) -> [String] {
    let names = places.flatMap { name, indices in indices.map { relativePath(name, in: $0) } }.sorted()
    if names.isEmpty { throw .folder(path: path, .noImages) }
    return names
  }

  /// The paths of the images that a list names, in its order.
  ///
  /// A file name alone must be there once. A folder prefix must agree with the file's folders: it decides between files
  /// of the same name, and a file in another folder is not the image. Two exceptions, where the name alone is enough:
  /// the files lie flat in the folder, or the name is one of ChestX-ray14's, which are unique in the data set.
  ///
  /// Errors: `ambiguous`, `namedTwice`, and one `imagesMissing` for all that are not there (exit 66).
  public func resolve(_ names: [String]) throws(ChestXrayError) -> [String] {
    var paths: [String] = []
    paths.reserveCapacity(names.count)
    var missing: [String] = []
    var users: [String: String] = [:]
    users.reserveCapacity(names.count)
    for name in names {
      switch find(name) {
      case .several(let paths): throw .folder(path: path, .ambiguous(name: name, paths: paths))
      case .none: missing.append(name)
      case .one(let relative):
        if let other = users.updateValue(name, forKey: relative), other != name {
          throw .folder(path: path, .namedTwice(path: relative, first: other, second: name))
        }
        paths.append(full(relative))
      }
    }
    if !missing.isEmpty { throw .folder(path: path, .imagesMissing(missing, total: names.count)) }
    return paths
  }

  /// What a name in a list means: paths relative to the folder.
  enum Found: Equatable {
    case none
    case one(String)
    /// Sorted.
    case several([String])
  }

  /// The image that a list means by `name`; `resolve` says how it is found.
  func find(_ name: String) -> Found {
    let candidates = candidates(for: name)
    if candidates.count > 1 { return .several(candidates.sorted()) }
    return candidates.first.map { .one($0) } ?? .none
  }

  /// The path of what is at `relative`.
  func full(_ relative: String) -> String { path.hasSuffix("/") ? path + relative : path + "/" + relative }

  /// The files, relative to the folder, that `name` could mean.
  private func candidates(for name: String) -> [String] {
    let prefix = name.split(separator: "/").dropLast()
    let file = fileName(of: name)
    guard let indices = places[file] else { return [] }
    if prefix.isEmpty { return indices.map { relativePath(file, in: $0) } }
    let exact = indices.filter { relativePath(file, in: $0) == name }
    let agreeing = exact.isEmpty ? indices.filter { agrees(prefix, with: folders[$0]) } : exact
    if agreeing.isEmpty, indices.count == 1, folders[indices[0]].isEmpty || patientDigits(ofImage: file) != nil {
      return [relativePath(file, in: indices[0])]
    }
    return agreeing.map { relativePath(file, in: $0) }
  }

  /// Whether the folders of `prefix` are all among those of a file, in the same order: `images_006` agrees with
  /// `images_006/images`.
  private func agrees(_ prefix: ArraySlice<Substring>, with folder: String) -> Bool {
    var rest = prefix.filter { $0 != "." }[...]
    for name in above + folder.split(separator: "/") where name == rest.first { rest.removeFirst() }
    return rest.isEmpty
  }

  private func relativePath(_ file: String, in folder: Int) -> String {
    folders[folder].isEmpty ? file : folders[folder] + "/" + file
  }

  /// Notes the images in `folder` (relative) and in those below it.
  private mutating func walk(_ folder: String, depth: Int) throws(ChestXrayError) {
    let full = folder.isEmpty ? path : path + "/" + folder
    guard let stream = opendir(full) else { throw .platform(.unreadable(path: full, errno: errno)) }
    let index = folders.count
    folders.append(folder)
    var below: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
          String(cString: $0)
        }
      }
      if name.hasPrefix(".") { continue }
      if hasImageExtension(name) {
        places[name, default: []].append(index)
      } else if isFolder(entry.pointee.d_type, full + "/" + name) {
        below.append(name)
      }
    }
    closedir(stream)
    guard depth < Self.deepest else { return }
    for name in below.sorted() { try walk(folder.isEmpty ? name : folder + "/" + name, depth: depth + 1) }
  }

  /// `type`: what `readdir` says, which for links and on some file systems is not enough.
  private func isFolder(_ type: UInt8, _ path: String) -> Bool {
    if Int(type) == Int(DT_DIR) { return true }
    guard Int(type) == Int(DT_LNK) || Int(type) == Int(DT_UNKNOWN) else { return false }
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}
