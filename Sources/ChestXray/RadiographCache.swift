import Foundation
import Platform
import Synchronization
import Tensors

/// Decoded radiographs on the disk: decoding one takes many times as long as reading its pixels, and an epoch comes back to each.
///
/// A record is a file of its own, of raw pixels behind a header with a checksum. Its name is a digest of the image's path, size and
/// times, and of what was made of it: a changed image has another name, so that a record is never wrong. It is written beside its
/// name and renamed; several processes may share a folder. Nothing is deleted: the folder may be, at any time.
public final class RadiographCache: Sendable {
  /// What was made of an image.
  public enum Content: Equatable, Sendable {
    /// The whole image, its short side scaled down to so many pixels where it is longer.
    case scaled(shortSide: Int)
    /// What a network is shown in evaluation.
    case prepared(Preprocessing.Geometry, channels: Int)

    fileprivate var name: String {
      switch self {
      case .scaled(let side): "scaled \(side)"
      case .prepared(.centerCrop(let resize, let crop), let channels): "center-crop \(resize) \(crop) \(channels)"
      case .prepared(.resize(let size), let channels): "resize \(size) \(channels)"
      case .prepared(.squareResize(let size), let channels): "square-resize \(size) \(channels)"
      }
    }
  }

  /// Pixels that were made of an image.
  struct Record: Equatable {
    /// Of the image itself, in pixels.
    var originalWidth: Int
    var originalHeight: Int
    var width: Int
    var height: Int
    /// 1 or 3.
    var channels: Int
    /// `width · height · channels`, in the order of what was made.
    var pixels: [UInt8]
  }

  public let folder: String
  /// Why nothing is written any more: the disk is full, say.
  private let writeFailure = Mutex<PlatformError?>(nil)
  private let isWriting = Atomic(true)

  /// The cache in `folder`, which is made when the first record is.
  public init(folder: String) { self.folder = folder }

  /// What ended the writing, if anything did. Reading goes on.
  public var failure: PlatformError? { writeFailure.withLock { $0 } }

  /// Whether the record of an image is there. It may still be damaged.
  public func has(_ content: Content, of image: String) -> Bool {
    guard let key = Self.key(content, of: image) else { return false }
    return somethingStands(at: path(key))
  }

  /// The record of the image at `path`; where there is none that is sound, what `make` gives, which is kept.
  ///
  /// Errors: those of `make`.
  func record(
    _ content: Content, of image: String, make: () throws(ChestXrayError) -> Record
  ) throws(ChestXrayError) -> Record {
    guard let key = Self.key(content, of: image) else { return try make() }
    if let record = read(key) { return record }
    let record = try make()
    if isWriting.load(ordering: .relaxed) { write(record, key) }
    return record
  }

  // MARK: - Files

  /// 64 digits; nil where nothing is known of the file: opening it will say why.
  private static func key(_ content: Content, of image: String) -> String? {
    var status = stat()
    guard stat(image, &status) == 0 else { return nil }
    let absolute = image.hasPrefix("/") ? image : FileManager.default.currentDirectoryPath + "/" + image
    let times = [status.st_mtim, status.st_ctim].map { "\($0.tv_sec).\($0.tv_nsec)" }
    let text = [absolute, "\(status.st_size)", "\(status.st_ino)", times[0], times[1], content.name].joined(
      separator: "\0")
    return SHA256.hex(of: Array(text.utf8))
  }

  /// Two levels, so that no folder has too many files.
  private func path(_ key: String) -> String { "\(folder)/\(key.prefix(2))/\(key.dropFirst(2))" }

  /// `CHXPIXL1`, the key, six numbers of 32 bits (little-endian): originalWidth, originalHeight, width, height, channels, and the CRC-32
  /// of all before it and of the pixels.
  private static let magic = Array("CHXPIXL1".utf8)
  private static let numbersOffset = magic.count + 64
  private static let headerSize = numbersOffset + 6 * 4

  private static func header(_ record: Record, _ key: String) -> [UInt8] {
    var header = magic + key.utf8
    func add(_ number: UInt32) { header += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    for number in [record.originalWidth, record.originalHeight, record.width, record.height, record.channels] {
      add(UInt32(number))
    }
    add(record.pixels.withUnsafeBytes { Deflate.crc32($0, after: header.withUnsafeBytes { Deflate.crc32($0) }) })
    return header
  }

  /// Nil where it is not there, or not sound.
  private func read(_ key: String) -> Record? {
    guard let file = try? FileReader(path: path(key)), file.size >= Self.headerSize,
      let header = try? file.read(at: 0, count: Self.headerSize), header.starts(with: Self.magic)
    else { return nil }
    let numbers = (0..<5).map { index in
      (0..<4).reduce(0) { $0 | Int(header[Self.numbersOffset + 4 * index + $1]) << (8 * $1) }
    }
    let (count, overflow) = numbers[2].multipliedReportingOverflow(by: numbers[3])
    guard !overflow, count <= Radiograph.mostPixels, numbers[4] == 1 || numbers[4] == 3,
      file.size == Self.headerSize + count * numbers[4],
      let pixels = try? file.read(at: Self.headerSize, count: count * numbers[4])
    else { return nil }
    let record = Record(
      originalWidth: numbers[0], originalHeight: numbers[1], width: numbers[2], height: numbers[3],
      channels: numbers[4], pixels: pixels)
    return Self.header(record, key) == header ? record : nil
  }

  private func write(_ record: Record, _ key: String) {
    let path = path(key)
    do throws(PlatformError) {
      try createFolder(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
      var file = try AtomicFile(path: path, overwriting: true)
      try file.write(Self.header(record, key))
      try file.write(record.pixels)
      // A record that a crash leaves damaged is made again.
      try file.commitUnsynced()
    } catch {
      isWriting.store(false, ordering: .relaxed)
      writeFailure.withLock { $0 = error }
    }
  }
}
