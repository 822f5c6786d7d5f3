import Platform

/// The numbers of an MPI's binary interface that a program is otherwise compiled with. A handle is passed as a word: Open MPI's are pointers, MPICH's
/// are ints, which a register holds alike.
///
/// Open MPI 4 and 5: `mpi.h.in` (`OMPI_PREDEFINED_GLOBAL`, `MPI_IN_PLACE`, `struct ompi_status_public_t`). MPICH 3.2 and newer, whose interface Intel MPI, Cray and
/// MVAPICH share (the ABI initiative of 2013): `mpi.h.in`.
struct MPIABI: Sendable {
  enum Handle: Sendable {
    /// The address of the library's variable of this name.
    case variable(String)
    case number(UInt)
  }

  let name: String
  /// File names, the likeliest first.
  let libraries: [String]
  let world: Handle
  let float: Handle
  let double: Handle
  let byte: Handle
  let sum: Handle
  /// An error handler that lets calls return.
  let errorsReturn: Handle
  /// `MPI_IN_PLACE` and `MPI_STATUS_IGNORE`.
  let inPlace: UInt
  let ignoredStatus: UInt
  let anySource: CInt
  /// Where `MPI_SOURCE` stands in `MPI_Status`, in bytes.
  let statusSource: Int

  static let openMPI = MPIABI(
    name: "Open MPI", libraries: ["libmpi.so.40"], world: .variable("ompi_mpi_comm_world"),
    float: .variable("ompi_mpi_float"), double: .variable("ompi_mpi_double"), byte: .variable("ompi_mpi_byte"),
    sum: .variable("ompi_mpi_op_sum"), errorsReturn: .variable("ompi_mpi_errors_return"), inPlace: 1, ignoredStatus: 0,
    anySource: -1, statusSource: 0)

  static let mpich = MPIABI(
    name: "MPICH", libraries: ["libmpi.so.12", "libmpich.so.12"], world: .number(0x4400_0000),
    float: .number(0x4C00_040A), double: .number(0x4C00_080B), byte: .number(0x4C00_010D), sum: .number(0x5800_0003),
    errorsReturn: .number(0x5400_0001), inPlace: UInt.max, ignoredStatus: 1, anySource: -2,
    statusSource: 8)

  /// That of a library: Open MPI's has its communicator as a variable.
  static func of(_ library: DynamicLibrary) -> MPIABI { library.has("ompi_mpi_comm_world") ? .openMPI : .mpich }

  func value(_ handle: Handle, in library: DynamicLibrary) throws(PlatformError) -> UInt {
    switch handle {
    case .variable(let name): UInt(bitPattern: try library.address(name))
    case .number(let number): number
    }
  }
}
