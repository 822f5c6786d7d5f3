/// The cyclic redundancy check of Castagnoli's polynomial (0x1EDC6F41, reflected), as iSCSI (RFC 3720, section 12.1) and TFRecord
/// files have it.
///
///     CRC32C.of(Array("123456789".utf8))   // 0xE3069283
public enum CRC32C {
  /// The remainders of all bytes.
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { rest, _ in rest & 1 == 1 ? rest >> 1 ^ 0x82F6_3B78 : rest >> 1 }
  }

  public static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { rest, byte in rest >> 8 ^ table[Int(UInt8(truncatingIfNeeded: rest) ^ byte)] }
  }
}
