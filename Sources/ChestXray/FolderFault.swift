import Platform

/// What can be wrong between a list of images and the folder that should hold them.
public enum FolderFault: Equatable, Sendable {
  /// Of the `total` images that a list names, these are not there.
  case imagesMissing([String], total: Int)
  /// Several files could be the image that a list names.
  case ambiguous(name: String, paths: [String])
  /// Two names of a list lead to the same file.
  case namedTwice(path: String, first: String, second: String)
  case noImages
  case notAFolder

  func diagnosis(folder: String) -> Diagnosis {
    switch self {
    case .imagesMissing(let names, let total):
      Diagnosis(
        id: "image.missing", exit: .inputMissing,
        message: "\(names.count) of \(total) images are not in \(folder.printable)",
        hint: "point --data at the folder that holds the images, or the folder above images_001 … images_012",
        file: folder, details: names.map(\.printable))
    case .ambiguous(let name, let paths):
      Diagnosis(
        id: "image.ambiguous", exit: .badData,
        message: "\(name.printable) could be any of \(paths.count) files: "
          + paths.prefix(3).map(\.printable).joined(separator: ", "),
        hint: "name the folder in the list, as in \(paths.first?.printable ?? "folder/name.png")", file: folder)
    case .namedTwice(let path, let first, let second):
      Diagnosis(
        id: "image.named-twice", exit: .badData,
        message: "\(first.printable) and \(second.printable) both lead to \(path.printable)",
        hint: "remove one of them from the list, or keep the list's folders below --data", file: path)
    case .noImages:
      Diagnosis(
        id: "image.none", exit: .inputMissing, message: "no images in \(folder.printable)",
        hint: "expected files that end in .png, there or in folders below", file: folder)
    case .notAFolder:
      Diagnosis(
        id: "folder.missing", exit: .inputMissing, message: "expected a folder of images at \(folder.printable)",
        hint: "check the spelling and the working directory", file: folder)
    }
  }
}
