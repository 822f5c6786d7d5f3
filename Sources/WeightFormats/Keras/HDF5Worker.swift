import Foundation
import Platform
import Tensors

/// The process that reads one HDF5 file for another, because libhdf5 does not survive every damaged file.
///
/// It gives up all rights but reading descriptor 3, checks every object of the file there, and then serves the file at descriptor 0
/// as if it were a safetensors file: the header describes all datasets (under `/` and their paths) and what Keras says about
/// them (`KerasDescription`), and the bytes of a dataset are read when they are asked for. Those that stand in the file as they are
/// need not be: the description says where. Where all do, the process ends once it has said the header's last byte.
///
/// Its arguments, behind the first, say which part of descriptor 3 is the HDF5 file: where it begins, and its bytes.
///
///     it says    0, bytes of the whole virtual file (u64)          once, when the file has been checked
///     is asked   offset (u64), count (u64)                         a part of the header, or exactly one tensor
///     it says    0, the bytes
///     or         1, length (u32), a fault as JSON                  and ends
///
/// Numbers are little-endian. It ends when the other process does, or has closed its end.
public enum HDF5Worker {
  static let argument = "--serve-hdf5"
  static let descriptionKey = "keras"

  /// Bytes of memory for libhdf5 beyond what the executable takes.
  static let memory = 1 << 30
  /// Milliseconds of processor time for a file of `bytes`: some damaged ones keep libhdf5 in a loop for good. A DenseNet-121 takes 60 of
  /// its 2600; 20 000 datasets of one number, the most objects that a file may have, 900 of the 1250 of their 7 MB.
  static func processorMilliseconds(bytes: Int) -> Int { 800 + bytes >> 14 }
  /// Bytes of the header at the most. DenseNet-121 has under 100 kB.
  private static let headerLimit = 32 << 20

  /// Never returns where this process was started to read an HDF5 file. The first line of every executable that reads
  /// weight files: it is the executable that is started.
  public static func serveIfAsked() {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.first == argument else { return }
    let numbers = arguments.dropFirst().compactMap { Int($0) }
    guard arguments.count == 3, numbers.count == 2, numbers.allSatisfy({ 0...(1 << 62) ~= $0 }) else { return }
    let range = numbers[0]..<numbers[0] + numbers[1]
    do throws(KerasFault) {
      try openLibrary()
      try confine(bytes: range.count)
      let file = try HDF5.open(descriptor: 3, range: range)
      do throws(KerasFault) {
        try serve(file)
      } catch {
        fail(error)
      }
      // At once: closing what came of a damaged file may fail in libhdf5, too.
      _exit(0)
    } catch {
      fail(error)
    }
  }

  private static func fail(_ fault: KerasFault) -> Never {
    let text = fault.json.utf8()
    send([1] + littleEndian(UInt32(text.count)) + text)
    _exit(ExitStatus.badData.rawValue)
  }

  /// While it still may.
  private static func openLibrary() throws(KerasFault) {
    do throws(PlatformError) {
      try HDF5Library.open()
    } catch {
      throw .noLibrary(reason: error.diagnosis.message)
    }
  }

  private static func confine(bytes: Int) throws(KerasFault) {
    do throws(PlatformError) {
      try confineProcess(memory: memory, processorMilliseconds: processorMilliseconds(bytes: bytes))
    } catch .cannotConfine(let doing, let code) {
      throw .unconfined(doing: doing, errno: Int(code))
    } catch {
      throw .unconfined(doing: error.description, errno: 0)
    }
  }

  private static func serve(_ file: borrowing HDF5Handle) throws(KerasFault) {
    let survey = try HDF5Survey(file)
    let header = try header(survey.datasets, survey.description(of: file))
    var places: [Int: Int] = [:]
    var end = header.count
    for (index, dataset) in survey.datasets.enumerated() {
      let bytes = dataset.byteCount ?? 0
      if bytes > 0 { places[end] = index }
      end += bytes
    }
    // Nothing is left to be asked for then but the header.
    let isSelfEvident = survey.datasets.allSatisfy { $0.address != nil || $0.shape.count == 0 }
    send([0] + littleEndian(UInt64(end)))
    while let request = receive(16) {
      var fields = ByteReader(request)
      guard let offset = fields.integer(UInt64.self).flatMap(Int.init(exactly:)),
        let count = fields.integer(UInt64.self).flatMap(Int.init(exactly:))
      else { throw .readerUnbelievable(reason: "a request beyond 64 bits") }
      if offset <= header.count, count <= header.count - offset {
        send([0] + header[offset..<offset + count])
        if isSelfEvident, offset + count == header.count { return }
      } else if let index = places[offset], survey.datasets[index].byteCount == count {
        let bytes = try survey.datasets[index].read(from: file)
        send([0])
        send(bytes)
      } else {
        throw .readerUnbelievable(reason: "a request for \(count) bytes at \(offset)")
      }
    }
  }

  /// The safetensors header: its length, and the JSON object.
  private static func header(
    _ datasets: [HDF5Dataset], _ description: KerasDescription
  ) throws(KerasFault) -> [UInt8] {
    var header: JSONObject = [
      Safetensors.metadataKey: .object([descriptionKey: .string(description.json.text())])
    ]
    var offset = 0
    for dataset in datasets {
      let (end, overflow) = offset.addingReportingOverflow(dataset.byteCount ?? .max)
      guard !overflow, end < 1 << 62 else { throw .tooLarge(dataset.path, bytes: .max, limit: HDF5Dataset.byteLimit) }
      header["/" + dataset.path] = [
        "dtype": .string(dataset.elementType.rawValue), "shape": JSONValue(dataset.shape.extents),
        "data_offsets": [JSONValue(offset), JSONValue(end)],
      ]
      offset = end
    }
    let text = JSONValue.object(header).utf8()
    guard text.count <= headerLimit else { throw .tooLongNames(limit: headerLimit) }
    return littleEndian(UInt64(text.count)) + text
  }

  // MARK: - The socket

  private static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
  }

  /// Ends the process where nobody listens any more.
  private static func send(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        let count = write(0, buffer.baseAddress.map { $0 + sent }, buffer.count - sent)
        if count > 0 { sent += count } else if errno != EINTR { _exit(ExitStatus.inputOutput.rawValue) }
      }
    }
  }

  /// Exactly `count` bytes; nil where the other end was closed.
  private static func receive(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var got = 0
    while got < count {
      let more = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress.map { $0 + got }, count - got) }
      if more > 0 { got += more } else if more == 0 || errno != EINTR { return nil }
    }
    return bytes
  }
}
