using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>
/// Leaves this process, and whatever it starts, the families of sockets that the packet filter sees: unix, inet, inet6, netlink and packet (which takes
/// NET_RAW). Another may lead out of the machine past all rules, as vsock(7) leads to the host of a virtual one. By seccomp(2), which nobody takes
/// back. It sees no operation of io_uring, which opens sockets too (Linux 5.19): there is none.
/// </summary>
internal static class SocketFamilies
{
    private const int SetSeccomp = 22;
    private const nuint FilterMode = 2;

    // linux/audit.h: this machine's own programs, and those of 32 bits that it runs as well.
    private const uint X64 = 0xC000003E;
    private const uint I386 = 0x40000003;
    private const uint Arm64 = 0xC00000B7;
    private const uint Arm = 0x40000028;

    private const uint IoUringSetup = 425;

    // i386's one call for all that sockets do: its first argument says what. Elsewhere nothing has that number.
    private const uint SocketCall = 102;
    private const uint SocketCallSocket = 1;
    private const uint SocketCallPair = 8;

    // A second set of numbers on x86-64 (x32), the same but for this bit.
    private const uint OtherNumbers = 0x40000000;

    // linux/bpf_common.h and linux/seccomp.h.
    private const ushort Load = 0x20;
    private const ushort JumpIfEqual = 0x15;
    private const ushort And = 0x54;
    private const ushort Return = 0x06;
    private const uint NumberAt = 0;
    private const uint ArchitectureAt = 4;
    private const uint FirstArgumentAt = 16;
    private const uint Allow = 0x7FFF0000;
    private const uint Refuse = 0x00050000;
    private const uint NotPermitted = 1;
    private const uint NotImplemented = 38;
    private const uint FamilyNotSupported = 97;

    /// <summary>From here on. Without no_new_privs it takes SYS_ADMIN.</summary>
    /// <exception cref="LibcException">The kernel has no seccomp, or does not let us.</exception>
    public static unsafe void Limit()
    {
        var program = Program(RuntimeInformation.ProcessArchitecture == Architecture.Arm64);
        fixed (Instruction* first = program)
        {
            // struct sock_fprog.
            var filter = new FilterProgram { Length = (ushort)program.Length, First = (nint)first };
            if (Libc.ProcessControl(SetSeccomp, FilterMode, (nuint)(&filter), 0, 0) < 0)
                throw LibcException.Last("prctl", "limiting the families of sockets");
        }
    }

    // Jumps count from the next instruction.
    private static Instruction[] Program(bool isArm)
    {
        const byte Families = 16;
        const byte Permitted = 23;
        const byte Unsupported = 22;
        const byte Ring = 24;
        const byte Other = 25;
        var (own, socket, pair) = isArm ? (Arm64, 198u, 199u) : (X64, 41u, 53u);
        var (narrow, narrowSocket, narrowPair) = isArm ? (Arm, 281u, 288u) : (I386, 359u, 360u);
        return
        [
            new(Load, ArchitectureAt),                              // 0
            new(JumpIfEqual, own, 1),                               // 1: to 3
            new(JumpIfEqual, narrow, 4, Other - 3),                 // 2: to 7
            new(Load, NumberAt),                                    // 3
            new(And, ~OtherNumbers),                                // 4
            new(JumpIfEqual, socket, Families - 6),                 // 5
            new(JumpIfEqual, pair, Families - 7, 4),                // 6: or to 11
            new(Load, NumberAt),                                    // 7
            new(JumpIfEqual, narrowSocket, Families - 9),           // 8
            new(JumpIfEqual, narrowPair, Families - 10),            // 9
            new(JumpIfEqual, SocketCall, 1),                        // 10: to 12
            new(JumpIfEqual, IoUringSetup, Ring - 12, Permitted - 12), // 11
            new(Load, FirstArgumentAt),                             // 12
            new(JumpIfEqual, SocketCallSocket, Unsupported - 14),   // 13
            new(JumpIfEqual, SocketCallPair, Unsupported - 15),     // 14
            new(Return, Allow),                                     // 15
            new(Load, FirstArgumentAt),                             // 16: the family
            .. (Instruction[])[.. new uint[] { 1, 2, 10, 16, 17 }.Select((family, i) => new Instruction(JumpIfEqual, family, (byte)(Permitted - 18 - i)))],
            new(Return, Refuse | FamilyNotSupported),               // 22
            new(Return, Allow),                                     // 23
            new(Return, Refuse | NotPermitted),                     // 24
            new(Return, Refuse | NotImplemented),                   // 25
        ];
    }

    /// <summary>struct sock_filter.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Instruction(ushort code, uint operand, byte ifTrue = 0, byte ifFalse = 0)
    {
        public readonly ushort Code = code;
        public readonly byte IfTrue = ifTrue;
        public readonly byte IfFalse = ifFalse;
        public readonly uint Operand = operand;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct FilterProgram
    {
        public ushort Length;
        public nint First;
    }
}
