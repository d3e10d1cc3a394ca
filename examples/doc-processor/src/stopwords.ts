/** Words that hold sentences together and say nothing of what they are about, by ISO 639-3 code. */

const lists: Readonly<Record<string, string>> = {
  eng: `a about above after again against all also am an and any are as at be because been before being below between both but by can
    could did do does doing down during each either every few for from further had has have having he her here hers him his how i if in
    into is it its itself just like made make many may me might more most much must my neither no nor not now of off often on once one only or
    other our ours out over own per rather same shall she should since so some still such than that the their theirs them then there these they this those
    through to too two under until up upon us use used uses using very was we well were what when where which while who whom why will with within without would yet you your yours`,
  deu: `aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus bei beim bin bis bist da dabei
    dadurch dafür daher damit dann daran darauf darf darin das dass davon dazu dein deine dem den denn der deren des dessen die dies diese diesem diesen dieser dieses doch dort du durch ein eine
    einem einen einer eines einige er es etwas euch euer für gegen hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in indem ins
    ist ja je jede jedem jeden jeder jedes jedoch kann kein keine keinem keinen keiner können könnte man manche mehr mein meine mich mir mit muss müssen nach neben nicht nichts noch nun nur ob oder
    ohne sehr sein seine seinem seinen seiner seit sich sie sind so sofern sogar solche soll sollen sollte sondern sonst sowie über um und uns unser unsere unter viel vom von vor war waren was
    wegen weil weiter welche welchem welchen welcher wenn wer werden wer wie wieder will wir wird wo wurde wurden während würde zu zum zur zwar zwei zwischen`,
  fra: `à afin ai ainsi alors après au aucun aucune aussi autre autres aux avant avec avoir avons ayant car ce cela celle celles celui ces cet cette ceux chaque
    chez ci comme comment contre d dans de depuis des deux donc dont du elle elles en encore entre est et étaient était étant été être eu eux fait faire faut fois font hors il ils j je jusque
    l la là le les leur leurs lors lorsque lui m ma mais me même mêmes mes moi moins mon n ne ni non nos notre nous on ont ou où par parce pas pendant peu peut peuvent plus plusieurs pour pourquoi
    puis qu quand que quel quelle quelles quels qui quoi s sa sans se selon sera seront ses si soit son sont sous sur ta te tes toi ton tous tout toute toutes très tu un une vers voici voilà vos votre vous y`,
  spa: `a al algo algunas algunos ante antes aquel aquella así aún aunque bajo bien cada casi como con contra cual cuando de del desde donde dos durante e el él ella ellas ellos en entre era
    eran es esa ese eso esta está están estas este esto estos fue fueron ha había han hasta hay la las le les lo los más me mi mientras muy nada ni no nos nosotros o os otra otras otro otros para pero poco
    por porque puede pueden pues que qué quien se sea ser si sí sido siempre sin sino sobre son su sus también tan tanto te tiene tienen toda todas todo todos tras tu tus un una uno unos y ya yo`,
  ita: `a ad ai al alla alle allo anche ancora avere aveva c che chi ci coi col come con contro cosa così cui d da dagli dai dal dalla dalle dallo degli dei del della delle dello di dopo dove due e è ed era
    erano essere fa fra gli ha hanno ho i il in io l la le lei li lo loro lui ma me mentre mi mia mio molto ne negli nei nel nella nelle nello no noi non nostro o ogni oltre per perché più può poi prima
    proprio qual quale quando quanto quella quelle quelli quello questa queste questi questo qui quindi se sei si sia sono sopra sotto stata stato su sua sue sugli sui sul sulla sulle suo suoi tra tu tutti tutto un una uno vi voi`,
  nld: `aan al alle alleen als altijd andere bij binnen daar dan dat de deze die dit doen door dus een eens en er geen had heb hebben heeft het hem hen hier hij hoe hun iets ik in is ja je kan kon kunnen maar
    me meer men met mij mijn moet moeten na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen tot toen tussen uit uw van veel voor want waren was wat we wel werd werden wie wij wil worden wordt zal ze zelf zich zij
    zijn zo zonder zou`,
  por: `a ainda algum alguma algumas alguns ao aos após até cada como com contra da das de dela dele deles depois desde do dos e é ela elas ele eles em entre era eram essa esse esta está estão este eu foi foram há isso isto já
    lhe mais mas me mesmo meu minha muito muitos na não nas nem no nos nós nossa nosso num numa o os ou para pela pelas pelo pelos pode podem por porque qual quando que quem se seja sem ser seu seus só sob sobre sua suas também tem têm
    tinha toda todas todo todos tudo um uma umas uns você`,
  swe: `alla allt att av bara blev bli blir de dem den denna deras dess dessa det detta dig din du där efter ej eller en ett från för genom ha hade han hans har hela henne hennes hon honom hur här i icke in inga ingen inom inte
    jag ju kan kunde man med mellan men mig min mot mycket ni nu när någon något några och om oss på samma sedan sig sin sina sitta själv skall ska skulle som så sådan till under upp ut utan vad var vara varje vars vem vi vid vilka vilken
    vår våra än är över`,
};

const sets = new Map(Object.entries(lists).map(([code, words]) => [code, new Set(words.split(/\s+/))] as const));
const none: ReadonlySet<string> = new Set();
const every: ReadonlySet<string> = new Set([...sets.values()].flatMap((set) => [...set]));

/** Languages there is a list for. */
export const listed = [...sets.keys()];

/** The list of a language; of all languages for `und`; empty for a language without one. */
export const stopwords = (code: string): ReadonlySet<string> => (code === 'und' ? every : (sets.get(code) ?? none));
