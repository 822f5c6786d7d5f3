import Foundation
import Platform

/// A TensorBoard event file of scalars, `events.out.tfevents.<seconds>.<host>.<pid>.0`, to which events are added.
///
/// A record of the file is its length (64 bits), the length's checksum, its bytes and their checksum, all little-endian (TFRecord); the bytes
/// are an `Event` of TensorFlow's `event.proto`, in protocol buffers' encoding. The checksum is CRC-32C, rotated right by 15 bits plus
/// 0xA282EAD8. The first record is the file's version.
struct ScalarLog {
  let path: String

  /// The log in `folder`: the one that is there, else a new one, which begins with the first event.
  init(folder: String) throws(PlatformError) {
    let prefix = "events.out.tfevents."
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      throw .missing(path: folder)
    }
    let name =
      names.sorted().first { $0.hasPrefix(prefix) }
      ?? "\(prefix)\(Int(Date().timeIntervalSince1970)).\(ProcessInfo.processInfo.hostName).\(getpid()).0"
    path = folder + "/" + name
  }

  /// Bytes of the file; 0 where it has none yet.
  var size: Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Cuts off what stands behind the first `size` bytes.
  func cut(to size: Int) throws(PlatformError) {
    guard self.size > size else { return }
    guard truncate(path, off_t(size)) == 0 else { throw .writeFailed(path: path, errno: errno) }
  }

  /// Adds the values of some tags at a step of the run. `time`: seconds since 1970.
  func add(
    _ scalars: [(tag: String, value: Double)], step: Int, time: Double = Date().timeIntervalSince1970
  ) throws(PlatformError) {
    var records: [UInt8] = []
    if size == 0 { records += Self.record(Self.version(time: time)) }
    records += Self.record(Self.event(scalars, step: step, time: time))
    try appendBytes(records, to: path)
  }

  // MARK: Bytes

  static func record(_ bytes: [UInt8]) -> [UInt8] {
    let length = littleEndian(UInt64(bytes.count))
    return length + littleEndian(masked(CRC32C.of(length))) + bytes + littleEndian(masked(CRC32C.of(bytes)))
  }

  /// An `Event` of wall_time (1) and file_version (3).
  static func version(time: Double) -> [UInt8] {
    [0x09] + littleEndian(time.bitPattern) + message(3, Array("brain.Event:2".utf8))
  }

  /// An `Event` of wall_time (1), step (2) and summary (5), whose values (1) have a tag (1) and a simple_value (2).
  static func event(_ scalars: [(tag: String, value: Double)], step: Int, time: Double) -> [UInt8] {
    let values = scalars.flatMap { tag, value in
      message(1, message(1, Array(tag.utf8)) + [0x15] + littleEndian(Float(value).bitPattern))
    }
    // Zero is what a missing field means.
    let step = step == 0 ? [] : [0x10] + varint(UInt64(step))
    return [0x09] + littleEndian(time.bitPattern) + step + message(5, values)
  }

  /// A field of bytes.
  private static func message(_ field: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    [field << 3 | 2] + varint(UInt64(bytes.count)) + bytes
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var (rest, bytes): (UInt64, [UInt8]) = (value, [])
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  private static func masked(_ checksum: UInt32) -> UInt32 { (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8 }

  private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
