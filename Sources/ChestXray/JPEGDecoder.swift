import CJPEG

/// JPEG files, by TurboJPEG: baseline and progressive, of 8 bits a sample.
///
/// Gray becomes one channel, colour three; four colours are refused. The library's slow, exact cosine transform and smooth enlargement of
/// colours are taken, as by Pillow. Whatever the library warns of is an error: it goes on by making pixels up.
enum JPEGDecoder {
  /// Decodes `bytes`, which came from `path` (used in messages only).
  ///
  /// Errors: `tooLarge` beyond `Radiograph`'s limits, `damagedJPEG`, `fourColours`, `outOfMemory`.
  static func decode(_ bytes: [UInt8], path: String) throws(ChestXrayError) -> Radiograph {
    guard let decoder = tjInitDecompress() else { throw .image(path: path, .outOfMemory) }
    defer { tjDestroy(decoder) }
    var (width, height, subsampling, colours): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
    let header = tjDecompressHeader3(
      decoder, bytes, UInt(bytes.count), &width, &height, &subsampling, &colours)
    guard header == 0 else { throw .image(path: path, fault(of: decoder)) }

    let size = (width: Int(width), height: Int(height))
    guard Radiograph.isWithinLimits(width: size.width, height: size.height) else {
      throw .image(path: path, .tooLarge(width: size.width, height: size.height))
    }
    if colours == TJCS_CMYK.rawValue || colours == TJCS_YCCK.rawValue { throw .image(path: path, .fourColours) }
    guard isPlausible(pixels: size.width * size.height, fileSize: bytes.count) else {
      throw .image(path: path, .damagedJPEG(reason: "too few bytes for \(width) × \(height) pixels"))
    }

    let isGray = colours == TJCS_GRAY.rawValue
    let channels = isGray ? 1 : 3
    var status: Int32 = 0
    let pixels = [UInt8](unsafeUninitializedCapacity: size.width * size.height * channels) { buffer, initialized in
      // A failed decoder leaves rows unwritten; none of them is read.
      status = tjDecompress2(
        decoder, bytes, UInt(bytes.count), buffer.baseAddress, width, width * Int32(channels), height,
        Int32((isGray ? TJPF_GRAY : TJPF_RGB).rawValue), TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS)
      initialized = status == 0 ? buffer.count : 0
    }
    guard status == 0 else { throw .image(path: path, fault(of: decoder)) }
    return Radiograph(width: size.width, height: size.height, channels: channels, pixels: pixels)
  }

  /// Whether a file can hold so many pixels, before memory is asked for: Huffman's codes have at least a bit, and each block of
  /// 8 × 8 has at least one (ITU-T T.81, F.1.2 and G.1.2).
  private static func isPlausible(pixels: Int, fileSize: Int) -> Bool { pixels / (64 * 8) <= fileSize }

  /// What the library says of its last call.
  private static func fault(of decoder: tjhandle) -> ImageFault {
    .damagedJPEG(reason: tjGetErrorStr2(decoder).map { String(cString: $0) } ?? "unknown")
  }
}
