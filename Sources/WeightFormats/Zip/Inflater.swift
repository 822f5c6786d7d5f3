import CZlib

/// Inflates one entry of a zip archive (a raw DEFLATE stream), piece by piece, to exactly the size that its directory says.
///
/// It throws `malformedData` as soon as the stream is malformed, longer, or goes on behind its end, and in `finish` where it is
/// shorter.
struct Inflater: ~Copyable {
  private let entry: ZipEntry
  /// At one place all its life: zlib keeps its address.
  private let stream: UnsafeMutablePointer<z_stream>
  /// Bytes inflated so far.
  private var count = 0
  /// Whether the end of the stream was met.
  private var isComplete = false

  /// Bytes that one piece has at the most.
  static let pieceSize = 1 << 20

  init(_ entry: ZipEntry) throws(WeightFault) {
    self.entry = entry
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // Negative window bits: no zlib header around the stream.
    guard inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw .zip(.malformedData(entry: entry.name))
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Calls `body` with all that the next bytes of the stream, `pieceSize` at the most, inflate to.
  mutating func inflate(
    _ input: [UInt8], _ body: ([UInt8]) throws(WeightFault) -> Void
  ) throws(WeightFault) {
    var input = input
    var taken = 0
    var isOutputFull = false
    while taken < input.count || isOutputFull {
      if isComplete { throw .zip(.malformedData(entry: entry.name)) }
      // One byte more than the size, so that a longer stream shows.
      let room = min(Self.pieceSize, entry.size - count + 1)
      var result = Z_OK
      let output = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
        input.withUnsafeMutableBufferPointer { source in
          stream.pointee.next_in = source.baseAddress.map { $0 + taken }
          stream.pointee.avail_in = UInt32(source.count - taken)
          stream.pointee.next_out = buffer.baseAddress
          stream.pointee.avail_out = UInt32(room)
          result = CZlib.inflate(stream, Z_NO_FLUSH)
          taken = source.count - Int(stream.pointee.avail_in)
          initialized = room - Int(stream.pointee.avail_out)
        }
      }
      count += output.count
      isComplete = result == Z_STREAM_END
      // Z_BUF_ERROR: nothing was left to do.
      guard isComplete || result == Z_OK || result == Z_BUF_ERROR, count <= entry.size else {
        throw .zip(.malformedData(entry: entry.name))
      }
      isOutputFull = output.count == room && !isComplete
      if !output.isEmpty { try body(output) }
    }
  }

  /// Checks that the stream has ended, at its size.
  func finish() throws(WeightFault) {
    guard isComplete, count == entry.size else { throw .zip(.malformedData(entry: entry.name)) }
  }
}
