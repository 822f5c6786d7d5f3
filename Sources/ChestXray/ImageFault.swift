import Platform

/// What can be wrong with an image file.
public enum ImageFault: Equatable, Sendable {
  case empty
  /// Neither PNG nor JPEG nor another format that we know by its first bytes.
  case unknownFormat(firstBytes: [UInt8])
  case dicom
  case tooLarge(width: Int, height: Int)
  /// The file ends before row `row` (from 0) of `rows` is complete; `rows` is 0 where it ends inside the header.
  case truncated(row: Int, rows: Int)
  /// `reason`: libpng's words.
  case damaged(row: Int, reason: String)
  /// `reason`: TurboJPEG's words.
  case damagedJPEG(reason: String)
  /// A JPEG for printers: CMYK or YCCK.
  case fourColours
  case outOfMemory

  func diagnosis(path: String) -> Diagnosis {
    let (id, message, hint) = words(path: path.printable, png: pngName(of: path))
    return Diagnosis(
      id: "image.\(id)", exit: self == .outOfMemory ? .outOfMemory : .badData, message: message, hint: hint, file: path)
  }

  /// The error's name, one sentence, and what to do. `png`: the name that a conversion should give its result.
  private func words(path: String, png: String) -> (String, String, String?) {
    switch self {
    case .empty:
      ("empty", "\(path) is empty", "copy or download the file again")
    case .unknownFormat(let bytes):
      (
        "unknown-format",
        "expected a PNG or a JPEG, found a file that begins with the bytes \(hexadecimal(bytes)): \(path)",
        "convert it to a PNG"
      )
    case .dicom:
      (
        "dicom", "\(path) is a DICOM file; this version reads PNG and JPEG",
        "convert it with DCMTK (Debian: dcmtk): dcmj2pnm --write-png --min-max-window \(path) \(png)"
      )
    case .tooLarge(let width, let height):
      (
        "too-large",
        "\(path) is \(width) × \(height) pixels; the limits are \(Radiograph.largestSide) a side and "
          + "\(Radiograph.mostPixels) in all",
        "scale it down; networks see a few hundred pixels a side"
      )
    case .truncated(let row, let rows):
      (
        "truncated",
        "\(path) is truncated: the file ends inside " + (rows > 0 ? "row \(row + 1) of \(rows)" : "the PNG header"),
        "copy or download the file again"
      )
    case .damaged(let row, let reason):
      (
        "damaged", "\(path) is damaged at row \(row + 1): \(reason.printable)", "copy or download the file again"
      )
    case .damagedJPEG(let reason):
      ("damaged", "\(path) is a damaged JPEG: \(reason.printable)", "copy or download the file again")
    case .fourColours:
      (
        "four-colours", "expected a JPEG in gray or RGB, found one in CMYK: \(path)",
        "convert it with ImageMagick: convert \(path) -colorspace sRGB \(png)"
      )
    case .outOfMemory:
      ("out-of-memory", "no memory to decode \(path)", nil)
    }
  }
}

/// `89 50 4e 47`.
private func hexadecimal(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

/// The printable name of the PNG that a conversion of `path` should make.
private func pngName(of path: String) -> String {
  let name = path.split(separator: "/").last.map(String.init) ?? path
  let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
  return (stem.isEmpty ? "image" : stem).printable + ".png"
}
