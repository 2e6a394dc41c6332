using System.Reflection;
using System.Reflection.Emit;

namespace Discobot.Rules;

/// <summary>The types a compiled type refers to: in its declaration, its members' signatures and its method bodies (ECMA-335, III).</summary>
internal static class TypeReferences
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly OpCode[] _opCodes =
        [.. typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (OpCode)field.GetValue(null)!)];

    private static readonly Dictionary<byte, OpCode> _oneByte =
        _opCodes.Where(code => code.Size == 1).ToDictionary(code => (byte)code.Value);

    private static readonly Dictionary<byte, OpCode> _twoBytes =
        _opCodes.Where(code => code.Size == 2).ToDictionary(code => (byte)(code.Value & 0xFF));

    public static IReadOnlySet<Type> Of(Type type)
    {
        var found = new HashSet<Type>();
        Add(type.BaseType);
        AddAll(type.GetInterfaces());
        foreach (var member in type.GetMembers(Declared))
        {
            AddMember(member);
            if (member is MethodBase method)
                AddBody(method);
        }

        return found;

        void AddMember(MemberInfo? member)
        {
            Add(member?.DeclaringType);
            switch (member)
            {
                case FieldInfo field:
                    Add(field.FieldType);
                    break;
                case MethodBase method:
                    Add((method as MethodInfo)?.ReturnType);
                    AddAll(method.GetParameters().Select(parameter => parameter.ParameterType));
                    AddAll(method is MethodInfo { IsGenericMethod: true } ? method.GetGenericArguments() : []);
                    break;
                case Type nested:
                    Add(nested);
                    break;
            }
        }

        void AddBody(MethodBase method)
        {
            AddAll(method.GetMethodBody()?.LocalVariables.Select(local => local.LocalType) ?? []);
            foreach (var member in MembersInBody(method))
                AddMember(member);
        }

        void AddAll(IEnumerable<Type> types)
        {
            foreach (var each in types)
                Add(each);
        }

        void Add(Type? each)
        {
            while (each is { HasElementType: true })
                each = each.GetElementType();
            if (each is null || each.IsGenericParameter || !found.Add(each))
                return;
            AddAll(each.IsGenericType ? each.GetGenericArguments() : []);
        }
    }

    private static IEnumerable<MemberInfo> MembersInBody(MethodBase method)
    {
        var body = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        var ofType = method.DeclaringType is { IsGenericType: true } generic ? generic.GetGenericArguments() : null;
        var ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
        for (var at = 0; at < body.Length;)
        {
            var code = body[at] == 0xFE ? _twoBytes[body[at + 1]] : _oneByte[body[at]];
            at += code.Size;
            if (code.OperandType is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineType or OperandType.InlineTok
                && method.Module.ResolveMember(BitConverter.ToInt32(body, at), ofType, ofMethod) is { } member)
                yield return member;
            at += code.OperandType == OperandType.InlineSwitch ? 4 + 4 * BitConverter.ToInt32(body, at) : OperandSize(code.OperandType);
        }
    }

    private static int OperandSize(OperandType type) => type switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };
}
